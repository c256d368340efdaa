import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { startAgents } from "../../../localstack/parts/agent-processes.ts";
import { testFolder, until } from "../../support/agents/agent.ts";

afterAll(() => vi.unstubAllEnvs());

/** In place of an agent and of the bridge: writes down its environment, and takes four seconds to stop. */
const SLOW = `
import { renameSync, writeFileSync } from "node:fs";
process.on("SIGTERM", () => setTimeout(() => {
  writeFileSync(import.meta.filename + ".stopped", "");
  process.exit(0);
}, 4000));
setInterval(() => {}, 1000);
// Whole, or not there.
writeFileSync(import.meta.filename + ".written", JSON.stringify(process.env));
renameSync(import.meta.filename + ".written", import.meta.filename + ".started");
`;
const CODE = "agents/code.ts";
const BRIDGE = "localstack/bridge/main.ts";
const FOLLOW = "localstack/processes/follow-parent.ts";

const root = testFolder();

test("the agents and the bridge have as long to stop as their variables say, and an empty one is not set", async () => {
  for (const folder of ["agents", "localstack/bridge", "localstack/processes", "logs"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  cpSync(FOLLOW, join(root, FOLLOW));
  for (const file of [CODE, BRIDGE]) writeFileSync(join(root, file), SLOW);
  vi.stubEnv("AGENT_GRACE_SECONDS", "20");
  vi.stubEnv("AGENT_POLL_SECONDS", "");
  vi.stubEnv("BRIDGE_GRACE_SECONDS", "20");
  const programs = startAgents({
    root,
    dataDir: root,
    environment: {},
    agents: true,
    broker: { url: "amqp://guest:guest@127.0.0.1:1", prefix: "" },
    onLine: () => {},
    onCrash: () => {},
  });

  const has = (file: string) => existsSync(join(root, file));
  await until("both run", () => has(`${CODE}.started`) && has(`${BRIDGE}.started`));
  const told: unknown = JSON.parse(readFileSync(join(root, `${CODE}.started`), "utf8"));
  expect(told).toMatchObject({ AGENT_GRACE_SECONDS: "20", AGENT_POLL_SECONDS: "1" });

  await programs.stop();
  expect([has(`${CODE}.stopped`), has(`${BRIDGE}.stopped`)]).toEqual([true, true]);
}, 60_000);
