import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Actor, tellActor } from "../access/actor.ts";
import { identitySettings } from "../access/identity/settings.ts";
import { Misconfigured } from "../errors.ts";
import { ledger } from "../llm/accounts/ledger.ts";
import { configError } from "../llm/config/config.ts";
import { keyring, type ReadSecret } from "../llm/config/keys.ts";
import { keepPricesOf, priced } from "../llm/config/prices.ts";
import { parseWithSecrets } from "../llm/config/secrets.ts";
import type { GatewayDeps } from "../llm/gateway.ts";
import { MISCONFIGURED } from "../llm/refusals.ts";
import { healthBook } from "../llm/routing/health.ts";
import { onLambda, readEnv } from "../runtime/env.ts";
import { corsSettings } from "../runtime/http/cors.ts";
import { renewAll } from "../runtime/postgres/pool.ts";
import { readSettings, setting, type Values } from "../runtime/settings.ts";
import { post } from "../runtime/upstream.ts";
import { type Edges, processEdges } from "./edges.ts";

/** What the LLM gateway is told by its environment, beside what its configuration names there. */
export const llmSettings = {
  config: setting({
    env: "LLM_CONFIG",
    takes: z.string(),
    default: "llm.config.yaml",
    says: "The file that configures the LLM gateway; npm run llm:check checks it.",
  }),
};

export type LlmParts = {
  settings: Values<typeof llmSettings> & {
    identity: Values<typeof identitySettings>;
    cors: Values<typeof corsSettings>;
  };
  /** The variables that the configuration may name. */
  environment: Record<string, string | undefined>;
  /** Whether there is a Secrets Manager to ask. */
  secrets: boolean;
  edges: Pick<Edges, "db" | "newId" | "log">;
};

/** The parts of the gateway of this process, by its environment. */
export function processLlmParts(): LlmParts {
  const environment = readEnv(z.record(z.string(), z.string().optional()));
  const secrets = onLambda() || Boolean(environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"]);
  const edges = processEdges();
  const settings = {
    ...readSettings(llmSettings),
    identity: readSettings(identitySettings),
    cors: readSettings(corsSettings),
  };
  return { settings, environment, secrets, edges };
}

/** The gateway once it is open; rejects while its configuration is refused, and is tried again with each call. */
export type LlmGateway = () => Promise<GatewayDeps>;

/** The gateway over these parts: it reads its configuration and its secrets with the first call. */
export function llmGateway(parts: LlmParts): LlmGateway {
  let opening: Promise<GatewayDeps> | undefined;
  return async () => {
    opening ??= open(parts);
    try {
      return await opening;
    } catch (error) {
      // A secret may be there by the next call.
      opening = undefined;
      throw error;
    }
  };
}

/** Opens it at the start of its function, in the time that a start has anyway. A refusal is told here, and by the calls one by one. */
export function openAtStart(gateway: LlmGateway, { log }: Pick<Edges, "log">): void {
  gateway().catch((error: unknown) => log.error("llm configuration refused", { error }));
}

/** The gateway for one call. Throws Misconfigured where its configuration is refused: the log says why. */
export async function opened(
  gateway: LlmGateway,
  { log }: Pick<Edges, "log">,
  { actor, traceId }: { actor: Actor; traceId: string },
): Promise<GatewayDeps> {
  return await gateway().catch((error: unknown) => {
    log.error("llm configuration refused", { error, trace_id: traceId, actor: tellActor(actor) });
    throw new Misconfigured(MISCONFIGURED.message);
  });
}

async function open({ settings, environment, secrets, edges }: LlmParts): Promise<GatewayDeps> {
  const { db, log, newId } = edges;
  const path = settings.config;
  const around = { env: environment, secrets, priced };
  const parsed = await parseWithSecrets(await readFile(path, "utf8"), around, readSecret);
  if (!parsed.ok) throw configError(path, parsed.faults);
  for (const { line, message } of parsed.warnings) {
    log.warn("llm configuration doubtful", { at: `${path}:${line}`, message });
  }
  const { config } = parsed;
  const book = ledger(db, config.budgets, log, Date.now, renewAll);
  // Last: where something before it fails, the configuration is checked again.
  keepPricesOf(config.models.values());
  return {
    config,
    keys: keyring(around, readSecret),
    health: healthBook(),
    ledger: book,
    post,
    now: Date.now,
    dice: Math.random,
    sleep: async (ms, signal) => await sleep(ms, undefined, { signal }).catch(() => {}),
    newId,
    onWarning: (event, fields) => log.warn(event, fields),
  };
}

/** Loads the client for Secrets Manager with the first key that comes from there. */
const readSecret: ReadSecret = async (name, want) => {
  const { previousSecret, secret } = await import("../runtime/aws/secrets.ts");
  return want.previous ? await previousSecret(name) : await secret(name, want.fresh);
};
