import { setTimeout as sleep } from "node:timers/promises";
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { must } from "../must.ts";
import type { Trial } from "./trial.ts";

/** Longer than the framework's invoke waits before it calls again. */
const LONG_MS = 135_000;
/** The advisory lock of every migrator: "waybill" in ASCII. */
const LOCK = "33602696198581356";

/** What changes of a stage, and what a deploy must not forget, lose or do twice. */
export const changeTrials: Trial[] = [
  {
    name: "stage-file",
    says: "what the stage's file says arrives, is told before, and is not forgotten when its lines go",
    run: async (world) => {
      world.write("leaseSeconds: 90\nalarmEmail: ops@example.com\n");
      await world.expect([], 0, ["leaseSeconds: the default → 90", "AWS::SNS::Subscription"]);
      must((await world.environment())["LEASE_SECONDS"] === "90", "LEASE_SECONDS is not 90.");
      world.write("");
      await world.expect([], 1, [
        'leaseSeconds: "90"',
        'alarmEmail: "ops@example.com"',
        "Write it into deploy/stages/trial.yml",
      ]);
      world.write('leaseSeconds: 60\nalarmEmail: ""\n');
      await world.expect([], 0, ["leaseSeconds: 90 → 60"]);
      must((await world.environment())["LEASE_SECONDS"] === "60", "LEASE_SECONDS is not 60.");
      return "90, refused to forget, 60";
    },
  },
  {
    name: "approval",
    says: "where a person approves everything, the smoke test approves its own work",
    run: async (world) => {
      world.write('leaseSeconds: 60\nalarmEmail: ""\napprovalRequired: "*"\n');
      await world.expect([], 0, ["approvalRequired: the default → *", "/output"]);
      world.write('leaseSeconds: 60\nalarmEmail: ""\napprovalRequired: ""\n');
      await world.expect([], 0, ["approvalRequired: * → ", "/output"]);
      world.write('leaseSeconds: 60\nalarmEmail: ""\n');
      return "approved, taken back";
    },
  },
  {
    name: "changed-ssm",
    says: "a changed SSM parameter arrives, and is told by what it held and holds",
    run: async (world) => {
      const [here, there] = [world.databaseUrl("trial"), world.databaseUrl("moved")];
      await world.putParameter("database-url", there);
      await world.expect([], 0, [`/waybill/trial/database-url: ${here} → ${there}`, "is at nothing", "/output"]);
      const [row] = await world.sql("moved", async (sql) => await sql`select count(*)::int as tasks from tasks`);
      must(row?.["tasks"] === 1, `The database it moved to has ${row?.["tasks"]} pieces of work.`);
      await world.putParameter("database-url", here);
      await world.expect([], 0, [`${there} → ${here}`]);
      return "to another database and back";
    },
  },
  {
    name: "ssm-made-again",
    says: "an SSM parameter that was deleted and made again, and so has version 1 again, arrives",
    run: async (world) => {
      const here = world.databaseUrl("trial");
      const named = new URL(here);
      named.searchParams.set("application_name", "moved");
      await world.deleteParameter("database-url");
      await world.putParameter("database-url", named.href);
      await world.expect([], 0, [`/waybill/trial/database-url: ${here} → ${named.href}`, "/output"]);
      must((await world.environment())["DATABASE_URL"] === named.href, "The functions have the old one.");
      await world.deleteParameter("database-url");
      await world.putParameter("database-url", here);
      await world.expect([], 0, [`${named.href} → ${here}`]);
      return "arrived, and back";
    },
  },
  {
    name: "two-at-once",
    says: "of two deploys from one checkout one packages, and the other is told to wait",
    run: async (world) => {
      const ran = await Promise.all([world.deploy(["plan"]), world.deploy(["plan"])]);
      const codes = ran.map(({ code }) => code).toSorted((a, b) => a - b);
      must(codes.join() === "0,1", `They ended with ${codes.join()}.`);
      must(
        ran.some(({ said }) => said.includes("Another deploy packages in this folder")),
        "Nobody was told.",
      );
      return "one planned, one refused";
    },
  },
  {
    name: "prefix",
    says: "another prefix would delete queues: what lies in them is told, and refused",
    run: async (world) => {
      const { outputs } = await world.stack();
      const sqs = new SQSClient({ region: world.region, useQueueUrlAsEndpoint: false });
      await sqs.send(new SendMessageCommand({ QueueUrl: outputs["ResearchQueueUrl"], MessageBody: "{}" }));
      await world.expect(["plan", "--param", "prefix=other"], 1, [
        "waybill-trial-agent-research: about 1 messages",
        "would be lost",
        "--yes --stage trial",
      ]);
      await world.expect(["plan", "--param", "prefix=other", "--yes"], 0, ["These queues go: "]);
      return "one message kept";
    },
  },
  {
    name: "misspelt",
    says: "a name that cannot be set is refused with the nearest, before anything is packaged",
    run: async (world) => {
      await world.expect(["--param", "alarmMail=a@b.example"], 2, ["Did you mean alarmEmail?"]);
      return "alarmMail → alarmEmail";
    },
  },
  {
    name: "older-checkout",
    says: "a checkout that lacks a migration of the database is refused, and with --yes deployed without migrating",
    run: async (world) => {
      await world.sql("trial", async (sql) => {
        const name = "9999_of_tomorrow";
        await sql`insert into schema_migrations (name, checksum, duration_ms) values (${name}, 'x', 1)`;
        try {
          await world.expect([], 1, [name, "Nothing was deployed.", "--yes --stage trial"]);
          await world.expect(["--yes"], 0, [`Nothing is migrated: the database has ${name}`, "/output"]);
        } finally {
          await sql`delete from schema_migrations where name = ${name}`;
        }
      });
      return "refused by name; deployed, not migrated";
    },
  },
  {
    name: "killed-smoke",
    says: "a smoke test that somebody ends leaves no agent that work could be given to",
    run: async (world) => {
      const { code, said } = await world.deployUntil(["smoke"], "ok  an agent");
      must(code === 143, `It ended with ${code}: ${said}`);
      const { text } = await (await world.api())("GET", "/agents/smoke");
      must(/"active":\s*false/.test(text), `The agent is there still: ${text.slice(0, 300)}`);
      await world.expect(["smoke"], 0, ["/output"]);
      return "deactivated, and the next one passes";
    },
  },
  {
    name: "long-migration",
    says: "a migration that takes longer than two minutes is called once",
    run: async (world) =>
      await world.sql("trial", async (sql) => {
        await sql`select pg_advisory_lock(${LOCK}::bigint)`;
        const migrating = world.expect(["migrate", "up"], 0, ["0 pending"]);
        await sleep(LONG_MS);
        const [row] = await sql`
          select count(*)::int as waiting from pg_locks where locktype = 'advisory' and not granted
        `;
        await sql`select pg_advisory_unlock(${LOCK}::bigint)`;
        await migrating;
        must(row?.["waiting"] === 1, `${row?.["waiting"]} calls waited for the lock.`);
        return `one call after ${LONG_MS / 1000} s`;
      }),
  },
  {
    name: "down-to",
    says: "down wants a target, asks, and a repeated call takes back nothing more",
    run: async (world) => {
      const down = ["migrate", "down", "--to", "0011"];
      await world.expect(["migrate", "down"], 2, ["down wants --to TARGET"]);
      await world.expect(down, 1, ["Nothing was changed."]);
      await world.expect([...down, "--yes"], 0, ["reverted 0012"]);
      const again = await world.expect([...down, "--yes"], 0, ["is at 0011"]);
      must(!again.includes("reverted"), "The second call took back another one.");
      await world.expect(["migrate", "up"], 0, ["applied  0012"]);
      return "0012 down once, and up";
    },
  },
];
