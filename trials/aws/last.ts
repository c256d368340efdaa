import { AttachUserPolicyCommand, DetachUserPolicyCommand } from "@aws-sdk/client-iam";
import { findStack } from "../../bin/deploy/stack.ts";
import { must } from "../must.ts";
import { withSomebody } from "./somebody.ts";
import type { Trial } from "./trial.ts";

/** A second stage, the way back, and the end. */
export const lastTrials: Trial[] = [
  {
    name: "second-stage",
    says: "a second stage, which takes keys, stands beside the first, with queues of its own, and goes without it",
    run: async (world) => {
      const { stage, second } = world;
      const input = [world.databaseUrl("trial2"), "sesame", "", "", ""].join("\n");
      const up = ["The key of the first owner, which is shown this once: wb_", "/output", "waybill-trial2 is up"];
      await world.expect(["--create-secrets"], 0, up, { stage: second, input });
      const [one, two] = [await world.stack(stage), await world.stack(second)];
      must(one.outputs["WorkQueueUrl"] !== two.outputs["WorkQueueUrl"], "They share a queue.");
      await world.expect(["--yes", "--param", "prefix=moved"], 0, ["waybill-trial2 is up"], { stage: second });
      const left = await world.queuesOf("waybill-trial2");
      must(left.length === 0, `Queues of the old prefix are left: ${left.join(", ")}`);
      await world.expect(["remove", "--yes"], 0, ["waybill-trial2 is gone"], { stage: second });
      const { status } = await (await world.api())("GET", "/health");
      must(status === 200, `The first answers ${status} after it.`);
      return "up, moved to another prefix without a trace, removed, the first is well";
    },
  },
  {
    name: "rollback",
    says: "a rollback brings an earlier deploy back, keeps the schema, and is seen through",
    run: async (world) => {
      const kept = await world.expect(["rollback"], 0, ["Deploys of waybill-trial that are kept"]);
      const [before = ""] = [...kept.matchAll(/^ {2}(\d{13})/gm)].map(([, timestamp]) => timestamp ?? "").slice(-1);
      world.write('leaseSeconds: 120\nalarmEmail: ""\n');
      await world.expect([], 0, ["leaseSeconds: 60 → 120"]);
      await world.expect(["rollback", "--to", "1"], 1, ["There is no deploy 1."]);
      await world.expect(["rollback", "--to", before], 0, ["leaseSeconds: 120 → 60", "its schema stays", "/output"]);
      world.write('leaseSeconds: 60\nalarmEmail: ""\n');
      await world.expect(["plan"], 0, ["nothing but the functions' code"]);
      return `back to ${before}`;
    },
  },
  {
    name: "forward-again",
    says: "what was rolled back arrives when it is deployed again, unchanged",
    run: async (world) => {
      world.write('leaseSeconds: 120\nalarmEmail: ""\n');
      await world.expect([], 0, ["leaseSeconds: 60 → 120"]);
      const { LEASE_SECONDS } = await world.environment();
      must(LEASE_SECONDS === "120", `The functions have ${LEASE_SECONDS}.`);
      world.write('leaseSeconds: 60\nalarmEmail: ""\n');
      await world.expect([], 0, ["leaseSeconds: 120 → 60"]);
      return "120, and 60 again";
    },
  },
  {
    name: "protected",
    says: "a stage with deletionProtection is not removed, until it is taken back",
    run: async (world) => {
      world.write('leaseSeconds: 60\nalarmEmail: ""\ndeletionProtection: true\n');
      await world.expect([], 0, ["deletionProtection"]);
      await world.expect(["remove", "--yes"], 1, [
        "is protected. Say deletionProtection: false in deploy/stages/trial.yml",
      ]);
      world.write('leaseSeconds: 60\nalarmEmail: ""\ndeletionProtection: false\n');
      await world.expect([], 0, []);
      must(!(await world.stack()).protected, "It is protected still.");
      return "refused, taken back";
    },
  },
  {
    name: "remove",
    says: "removal says what is lost, refuses while a policy is attached, and leaves the database",
    run: async (world) => {
      const { iam } = world;
      await withSomebody(world, "CodeAgentPolicyArn", async ({ name, policy }) => {
        const detach = `aws iam detach-user-policy --user-name ${name} --policy-arn ${policy}`;
        await world.expect(["remove", "--yes"], 1, ["Nothing was removed.", detach]);
        await iam.send(new DetachUserPolicyCommand({ UserName: name, PolicyArn: policy }));
        await world.expect(["remove"], 1, ["Nothing was removed. If that is wanted, say --yes."]);
        await iam.send(new AttachUserPolicyCommand({ UserName: name, PolicyArn: policy }));
      });
      await world.expect(["remove", "--yes"], 0, [
        "log groups with all logs",
        "waybill-trial is gone. The database stays",
      ]);
      must((await findStack(world.target())) === undefined, "The stack is there still.");
      const [row] = await world.sql("trial", async (sql) => await sql`select count(*)::int as tasks from tasks`);
      return `${row?.["tasks"]} pieces of work are still in the database`;
    },
  },
];
