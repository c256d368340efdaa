import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Message, ORCHESTRATOR, type Raw } from "../protocol/messages.ts";
import { isSignedBy, keyIdOf } from "../protocol/signature.ts";
import { log } from "../runtime/log.ts";
import { writePrivately } from "../runtime/private-file.ts";
import { type Api, getJson } from "./transports/api.ts";
import { retryMs } from "./transports/transport.ts";

/** By whose word an agent acts: it tells what the control plane has signed from what somebody else has put on the queue. */
export type Trust = {
  /** Answers when the control plane's keys are known, or the signal is aborted. */
  ready: (signal: AbortSignal) => Promise<void>;
  /** Why a message is not what it says it is, or undefined where it is. Throws where the keys cannot be asked for. */
  whyNot: (message: Message, raw: Raw) => Promise<string | undefined>;
};

/** A JSON Web Key Set (RFC 7517) with Ed25519 keys (RFC 8037), as far as it is read. */
const KeySet = z.object({
  keys: z.array(z.object({ kid: z.string(), kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string() })),
});
type Keys = ReadonlyMap<string, Uint8Array>;

/** Where the API answers the control plane's keys. */
const PATH = "/.well-known/jwks.json";

/** After an id that nobody knew, others are not asked for sooner than this. */
const PAUSE_MS = 1_000;

/** Trusts these keys, each of 32 bytes, and no others. */
export function trustIn(publicKeys: readonly Uint8Array[]): Trust {
  const keys = new Map(publicKeys.map((key) => [keyIdOf(key), key]));
  return {
    ready: async () => {},
    whyNot: async (message, raw) => whyNot(message, raw, keys),
  };
}

/**
 * Trusts the keys that the API answers, asked for at the start and whenever a message names another. They are kept in the folder, so that
 * an agent begins also while the API is away.
 */
export function trustApi(api: Api, folder: string): Trust {
  const file = join(folder, "control-plane-keys.json");
  let keys = read(file);
  let asked = 0;
  const isKnown = () => keys !== undefined;
  const ask = async () => {
    asked = Date.now();
    const set = KeySet.parse(await getJson(api, PATH));
    keys = keysOf(set);
    write(file, set);
  };
  return {
    ready: async (signal) => {
      for (let failures = 0; !isKnown() && !signal.aborted; ) {
        try {
          await ask();
        } catch (error) {
          const wait_ms = retryMs(failures++);
          log.warn("agent waits: the control plane's keys are not known", { url: api.url, wait_ms, error });
          await sleep(wait_ms, undefined, { signal }).catch(() => {});
        }
      }
    },
    whyNot: async (message, raw) => {
      const isNew = message.key_id !== undefined && keys?.has(message.key_id) !== true;
      if (isNew && message.from_agent === ORCHESTRATOR) {
        await sleep(Math.max(0, asked + PAUSE_MS - Date.now()));
        await ask();
      }
      return whyNot(message, raw, keys ?? new Map());
    },
  };
}

function whyNot({ from_agent, key_id }: Message, raw: Raw, keys: Keys): string | undefined {
  // What other agents say is not acted upon.
  if (from_agent !== ORCHESTRATOR) return undefined;
  if (key_id === undefined) return "it is not signed by the control plane";
  const key = keys.get(key_id);
  if (key === undefined) return `it is signed with the key ${key_id}, which is not the control plane's`;
  return isSignedBy(raw, key) ? undefined : "its signature is not that of its key";
}

function keysOf({ keys }: z.infer<typeof KeySet>): Keys {
  return new Map(keys.map(({ kid, x }) => [kid, Buffer.from(x, "base64url")]));
}

function read(file: string): Keys | undefined {
  try {
    return keysOf(KeySet.parse(JSON.parse(readFileSync(file, "utf8"))));
  } catch {
    // Not kept yet, or not whole: they are asked for.
    return undefined;
  }
}

/** Who writes the file says whom the agent obeys: nobody else may. */
function write(file: string, set: z.infer<typeof KeySet>): void {
  try {
    writePrivately(file, JSON.stringify(set));
  } catch (error) {
    log.warn("the control plane's keys are not kept", { file, error });
  }
}
