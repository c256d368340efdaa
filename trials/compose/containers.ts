// What must hold of the containers themselves, whatever they run.
import { must } from "../must.ts";
import { run } from "./engine.ts";
import type { Inspected, Stack } from "./stack.ts";
import type { Trial } from "./trial.ts";

/** Runs as root, for its image offers nothing else; with one right of root's. */
const ROOT_SERVICES = ["localstack"];

const hardened: Trial = {
  name: "hardened",
  says: "no service has rights that it does not need, and each is bounded: memory, processes, logs",
  variant: "sqs",
  run: async (stack) => {
    const services = await stack.services();
    for (const service of services) {
      const inspected = await stack.inspect(service);
      const fault = faultOf(service, inspected);
      must(fault === undefined, `${service}: ${fault}`);
      if (inspected.State.Status !== "running") continue;
      // Of what runs, not of what is executed beside it: some entry points begin as root.
      const user = (await stack.exec(service, "stat", "-c", "%u", "/proc/1")).trim();
      must((user === "0") === ROOT_SERVICES.includes(service), `${service} runs as user ${user}`);
    }
    return `${services.length} services, root only in ${ROOT_SERVICES.join(", ")}`;
  },
};

function faultOf(service: string, { HostConfig }: Inspected): string | undefined {
  const { CapDrop, SecurityOpt, Memory, PidsLimit, LogConfig } = HostConfig;
  if (!CapDrop?.includes("ALL")) return "it keeps root's capabilities";
  if (!SecurityOpt?.includes("no-new-privileges:true")) return "it may gain privileges";
  if (!(Memory > 0)) return "its memory has no limit";
  if (!(Number(PidsLimit) > 0)) return "its processes have no limit";
  if (LogConfig.Config["max-size"] === undefined || LogConfig.Config["max-file"] === undefined)
    return "its log has no bound";
  const mayWrite = ["localstack", "rabbitmq"].includes(service);
  return HostConfig.ReadonlyRootfs || mayWrite ? undefined : "it may write to its image";
}

/** What a command that an agent runs must not find. It prints what it has found. */
const SNOOP = `
const fs = require("node:fs"), net = require("node:net");
const found = [];
const reach = (host, port) => new Promise((done) => {
  const socket = net.connect({ host, port, timeout: 2000 });
  socket.on("connect", () => { found.push(host + ":" + port + " answers"); socket.destroy(); done(); });
  socket.on("timeout", () => { socket.destroy(); done(); });
  socket.on("error", done);
});
const secrets = async () => {
  const answer = await fetch("http://localstack:4566/", { method: "POST", body: "{}", headers: {
    "content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.ListSecrets",
    authorization: "AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0" } });
  const { SecretList = [] } = await answer.json();
  found.push(...SecretList.map(({ Name }) => "the secret " + Name));
};
(async () => {
  await Promise.all([reach("postgres", 5432), reach("rabbitmq", 15672), reach("functions", 3002), secrets()]);
  for (const [name, value] of Object.entries(process.env)) if (/PASSWORD|DATABASE/.test(name)) found.push("the variable " + name);
  for (const folder of ["/app", "/etc", "/usr/local/bin"]) {
    try { fs.writeFileSync(folder + "/trial", ""); found.push("it can write to " + folder); } catch {}
  }
  console.log(found.length === 0 ? "nothing" : found.join(", "));
})();
`;

const isolated: Trial = {
  name: "isolated",
  says: "a command that an agent runs reaches no database, no password and no function but by the HTTP API, and cannot write to the image",
  variant: "sqs",
  run: async (stack) => {
    // Not as work: the rule against arguments that lead outside would refuse it, which is no wall.
    const found = (await stack.exec("agent-code", "node", "-e", SNOOP)).trim();
    must(found === "nothing", `it found ${found}`);
    return "it found nothing";
  },
};

const unchanged: Trial = {
  name: "up-again",
  says: "`up` on what runs, of unchanged code, makes nothing anew",
  variant: "sqs",
  run: async (stack) => {
    const before = await ids(stack);
    await stack.up();
    const after = await ids(stack);
    const anew = Object.keys(before).filter((service) => before[service] !== after[service]);
    must(anew.length === 0, `made anew: ${anew.join(", ")}`);
    return `${Object.keys(after).length} containers as before`;
  },
};

async function ids(stack: Stack): Promise<Record<string, string>> {
  const services = await stack.services();
  return Object.fromEntries(await Promise.all(services.map(async (name) => [name, await stack.idOf(name)] as const)));
}

/** MiB of each service's limit in use now. Throws where one was killed for memory, or uses nine tenths of its limit. */
export async function memory(stack: Stack): Promise<string> {
  const { out } = await run("docker", ["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.MemPerc}}"]);
  const own = out.split("\n").filter((line) => line.startsWith(`${stack.project}-`));
  const told: string[] = [];
  for (const line of own) {
    const [, name = "", used = "", limit = "", percent = ""] =
      /^\S+?-trial-(\S+)-\d+ (\S+) \/ (\S+) (\S+)%/.exec(line) ?? [];
    must(Number(percent) < 90, `${name} uses ${used} of ${limit}`);
    told.push(`${name} ${used}/${limit}`);
  }
  for (const service of await stack.services()) {
    must(!(await stack.inspect(service)).State.OOMKilled, `${service} was killed for memory`);
  }
  return told.map((one) => one.replaceAll(/\.\d+|iB/g, "")).join(", ");
}

/** Whether every service that stays is running and healthy, or why not. */
export async function allWell(stack: Stack): Promise<string | undefined> {
  for (const service of await stack.services()) {
    const { State } = await stack.inspect(service);
    if (State.Status === "exited" && State.ExitCode === 0 && service === "migrate") continue;
    if (State.Status !== "running" || State.Health?.Status !== "healthy") {
      return `${service} is ${State.Status}, ${State.Health?.Status ?? "without a health check"}`;
    }
  }
  return undefined;
}

export const containerTrials: Trial[] = [hardened, isolated, unchanged];
