import { findStack } from "../../bin/deploy/stack.ts";
import { must } from "../must.ts";
import type { Trial } from "./trial.ts";

/** From an account that has nothing to a stage that is up. */
export const firstTrials: Trial[] = [
  {
    name: "nothing-there",
    says: "an account that lacks everything is told the commands that make it, and nothing is deployed",
    run: async (world) => {
      const put = `aws ssm put-parameter --region ${world.region} --type String --name /waybill/trial/database-url --value …`;
      const make = `npm run deploy -- --create-secrets --stage trial --region ${world.region}`;
      await world.expect([], 1, [put, make]);
      must((await findStack(world.target())) === undefined, "There is a stack all the same.");
      return "two SSM parameters named, no stack";
    },
  },
  {
    name: "create-secrets",
    says: "--create-secrets makes parameters and secrets of what is answered, and plan changes nothing else",
    run: async (world) => {
      const url = world.databaseUrl("trial");
      const refused = url.replace("waybill@", "waybill:sesame@");
      const input = [refused, url, "sesame", "sk-1", "", ""].join("\n");
      const said = await world.expect(
        ["plan", "--create-secrets"],
        0,
        [
          "It carries a password",
          "made  SSM parameter /waybill/trial/database-url",
          "There is no stack waybill-trial yet",
        ],
        { input },
      );
      must(!said.includes("sesame\n") && !said.includes("sk-1"), "A secret was printed.");
      must((await findStack(world.target())) === undefined, "plan made a stack.");
      return "made and not shown; no stack";
    },
  },
  {
    name: "wrong-port",
    says: "a database that is not reached is told before anything is deployed",
    run: async (world) => {
      await world.expect(["plan", "--param", "databaseUrl=postgres://waybill@127.0.0.1:1/trial"], 1, [
        "The database 127.0.0.1:1/trial is not reached from this machine",
        "--unreached --stage trial",
      ]);
      return "named with its port";
    },
  },
  {
    name: "first-deploy",
    says: "one command deploys, migrates, sees one piece of work through, and says the addresses, queues and policies",
    run: async (world) => {
      const from = performance.now();
      const said = await world.expect([], 0, [
        "ok  GET /health",
        "/output",
        "waybill-trial is up in",
        "HTTP API",
        "CodeQueueUrl",
        "PolicyArn",
      ]);
      const applied = said.split("\n").filter((line) => line.includes("applied  ")).length;
      must(applied > 10, `Only ${applied} migrations were applied.`);
      return `${applied} migrations, ${Math.round((performance.now() - from) / 1000)} s`;
    },
  },
  {
    name: "again",
    says: "a deploy without a change says so, and the work of before is still there",
    run: async (world) => {
      await world.expect(["plan"], 0, ["nothing but the functions' code", "Nothing was deployed."]);
      const { status } = await (await world.api())("GET", "/health");
      must(status === 200, `GET /health answers ${status}.`);
      return `no change planned; health ${status}`;
    },
  },
];
