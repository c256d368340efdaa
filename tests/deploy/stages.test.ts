import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { parse } from "yaml";
import { freePort } from "../../localstack/parts/ports.ts";
import { createQueues } from "../../localstack/parts/queues.ts";
import { ask, listen, spawnProgram } from "../support/agents/agent.ts";
import { agentKey, TRUSTED } from "../support/agents/keys.ts";
import { sqs } from "../support/http/events.ts";
import { findBroker, prefix } from "../support/queues/rabbitmq.ts";
import { stage } from "../support/stack/dockerfile.ts";

// Without a Docker engine: every stage of the Dockerfile is laid out in a folder, as its instructions say, and what compose
// starts of it is started there, with compose's environment, on the services of this test run.

type Service = { command?: string[]; environment: Record<string, string>; healthcheck: { test: string[] } };
const { services } = parse(readFileSync("docker-compose.yml", "utf8"), { merge: true }) as {
  services: Record<string, Service>;
};
const images = mkdtempSync(join(tmpdir(), "waybill-images-"));
const run = promisify(execFile);
const broker = await findBroker();
const heard = listen();

beforeAll(async () => {
  // The stage `runtime-packages`: its own instruction, for real. `all-packages` is what `npm ci` made of this folder.
  const folder = join(images, "runtime-packages");
  copy(["package.json", "package-lock.json", ".npmrc"], folder);
  const [, npm = "", ...install] = stage("runtime-packages").at(-1)?.split(" ") ?? [];
  await run(npm, [...install, "--prefer-offline", "--no-audit", "--no-fund"], { cwd: folder });
  for (const image of ["functions", "agent", "bridge"]) layOut(image);
}, 180_000);

afterAll(() => rmSync(images, { recursive: true, force: true }));

function copy(sources: string[], folder: string): void {
  for (const source of sources) cpSync(source, join(folder, basename(source)), { recursive: true });
}

/** Does the COPY instructions of an image: /app is its folder here. */
function layOut(image: string): void {
  const app = join(images, image);
  mkdirSync(app);
  for (const line of stage(image).filter((text) => text.startsWith("COPY "))) {
    const [from, ...words] = line.split(" ").slice(1);
    if (from === "--from=runtime-packages") {
      symlinkSync(join(images, "runtime-packages", "node_modules"), join(app, "node_modules"));
    } else if (from === "--from=all-packages")
      symlinkSync(join(process.cwd(), "node_modules"), join(app, "node_modules"));
    else {
      const [to = "", ...sources] = [from ?? "", ...words].toReversed();
      const isFolder = to.endsWith("/");
      if (isFolder) copy(sources, join(app, to));
      else for (const source of sources) cpSync(source, join(app, to, to === "./" ? source : ""), { recursive: true });
    }
  }
}

async function expectRefused(url: string): Promise<void> {
  await expect(fetch(url)).rejects.toThrow(
    expect.objectContaining({ cause: expect.objectContaining({ code: "ECONNREFUSED" }) }),
  );
}

/** A command of an image as it runs here: with this Node, and this folder for /app. */
function commandOf(image: string, command?: string[]): string[] {
  const cmd = command ?? (JSON.parse(stage(image).at(-1)?.slice("CMD ".length) ?? "[]") as string[]);
  return cmd.map((word) => (word === "node" ? process.execPath : word.replace(/^\/app\//, `${join(images, image)}/`)));
}

/** What compose tells a service, but for the addresses of what is another one here. */
function environmentOf(service: string, here: Record<string, string>): Record<string, string> {
  const told = Object.entries(services[service]?.environment ?? {}).filter(([, value]) => !value.includes("${"));
  const unknown = Object.keys(here).filter((name) => !(name in (services[service]?.environment ?? {})));
  expect(unknown.filter((name) => !name.startsWith("WAYBILL_"))).toEqual([]);
  const ours = ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SECRETS_MANAGER"];
  return {
    PATH: process.env["PATH"] ?? "",
    ...Object.fromEntries(told.filter(([name]) => !ours.includes(name))),
    AWS_ENDPOINT_URL_SQS: process.env["AWS_ENDPOINT_URL_SQS"] ?? "",
    ...here,
  };
}

const queues = JSON.parse(process.env["AGENT_QUEUES"] ?? "{}") as Record<string, string>;
const RESULTS_QUEUE_URL = process.env["RESULTS_QUEUE_URL"] ?? "";

test("an agent's image does work, and its health check says so", async () => {
  const [data, workspace] = [join(images, "data"), join(images, "workspace")];
  for (const folder of [data, workspace]) mkdirSync(folder);
  const key = join(images, "key");
  writeFileSync(key, agentKey("code"));
  const env = environmentOf("agent-code", {
    AGENT_QUEUE_URL: queues["code"] ?? "",
    RESULTS_QUEUE_URL,
    WAYBILL_CODE_FOLDERS: workspace,
    WAYBILL_AGENT_DATA: data,
    WAYBILL_API_KEY_FILE: key,
    CONTROL_PLANE_KEYS: TRUSTED,
  });
  const [node = "", ...program] = commandOf("agent", services["agent-code"]?.command);
  const agent = await spawnProgram([node, ...program], { ...env, LOG_LEVEL: "info" });

  const result = await heard.result(await ask("code", "code.run", { command: "echo", args: ["hello"] }));

  expect(result).toMatchObject({ status: "completed", exit_code: 0 });
  const check = services["agent-code"]?.healthcheck.test.at(-1)?.replaceAll("/data/", `${data}/`) ?? "";
  expect(execFileSync("sh", ["-c", check], { env })).toHaveLength(0);
  await expect(
    run("sh", ["-c", check], { env: { ...env, AWS_ENDPOINT_URL_SQS: "http://127.0.0.1:1" } }),
  ).rejects.toThrow("ECONNREFUSED");
  await agent.crash();
});

test.skipIf(broker === undefined)(
  "the bridge's image carries messages, and its health check says so",
  async () => {
    const rabbit = await broker?.();
    const port = await freePort();
    const env = environmentOf("bridge", {
      RABBITMQ_URL: rabbit?.url ?? "",
      RESULTS_QUEUE_URL,
      AGENT_QUEUES: JSON.stringify({ research: queues["research"] }),
    });
    const child = spawn(process.execPath, commandOf("bridge").slice(1), {
      cwd: join(images, "bridge"),
      env: { ...env, RABBITMQ_PREFIX: prefix(), BRIDGE_PORT: String(port) },
    });
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    const [, , check = ""] = services["bridge"]?.healthcheck.test.slice(1) ?? [];

    const look = async () =>
      await run(process.execPath, ["-e", check.replace("9326", String(port))]).then(
        () => true,
        () => false,
      );
    await vi.waitUntil(look, { timeout: 30_000, interval: 100 });

    expect(check).toContain("http://127.0.0.1:9326/health");
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    await rabbit?.stop();
  },
  60_000,
);

test("the functions' image migrates, serves the API and streams, and its health check says so", async () => {
  const port = await freePort();
  const env = environmentOf("functions", {
    DATABASE_URL: process.env["DATABASE_URL"] ?? "",
    // By the names that LocalStack's script gives them.
    ...(await createQueues(sqs)),
  });
  const cwd = join(images, "functions");
  const [node = "", ...migrate] = commandOf("functions", services["migrate"]?.command);
  const { stdout } = await run(node, migrate, { cwd, env });
  expect(stdout).toMatch(/\d|up to date/);
  const [, ...command] = commandOf("functions").map((word) => (word === "3000" ? String(port) : word));
  const lambdaPort = await freePort();
  const child = spawn(process.execPath, [...command, "--lambdaPort", String(lambdaPort)], { cwd, env });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => (said += piece.toString()));
  const ended = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await ended;
  });

  // Not 3003 where a stack runs on this machine; 0, where nobody is, before it is known.
  const streamPort = () => /LLM streams at http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1] ?? "0";
  const [, , check = ""] = services["functions"]?.healthcheck.test.slice(1) ?? [];
  const look = async () => {
    if (child.exitCode !== null) throw new Error(`It ended:\n${said}`);
    const here = check.replace("3000", String(port)).replace("3003", streamPort());
    return await run(process.execPath, ["-e", here]).then(
      () => true,
      () => false,
    );
  };
  await vi.waitUntil(look, { timeout: 110_000, interval: 250 }).catch((error: unknown) => {
    throw new Error(`It is not healthy:\n${said}`, { cause: error });
  });

  // All of 127.0.0.0/8 is this machine on Linux: only what listens on every address is at another than 127.0.0.1.
  const address = process.platform === "linux" ? "127.0.0.2" : "127.0.0.1";
  for (const published of [port, streamPort()]) {
    // The function has answered: it asks for a key.
    const answer = await fetch(`http://${address}:${published}/llm/v1/models`);
    expect([answer.status, await answer.json()]).toMatchObject([401, { error: { code: "credentials_missing" } }]);
  }
  // It runs any function for whoever reaches it: agents, who are on a network with this container, must not.
  const lambdaApi = await fetch(`http://127.0.0.1:${lambdaPort}/`);
  expect(lambdaApi.status).toBe(404);
  if (address !== "127.0.0.1") await expectRefused(`http://${address}:${lambdaPort}/`);
}, 180_000);
