import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { agentSettings } from "../../lib/agent-kit/transports/env.ts";
import { prefixOf } from "../../lib/protocol/api-key.ts";
import { writePrivately } from "../../lib/runtime/private-file.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { localSettings } from "./local-settings.ts";

/** Where a stack keeps a key for whoever may read its data folder: the owner's, or that of an agent which it starts. */
export function keyFile(dataDir: string, agent?: string): string {
  return agent === undefined ? join(dataDir, "key") : join(dataDir, "keys", agent, "key");
}

/** The key in a file; undefined where there is none. Throws, with what to do, where it cannot be read or holds something else. */
export function readKey(file: string): string | undefined {
  const text = textIn(file);
  if (text === undefined || prefixOf(text) !== undefined) return text;
  throw new Error(`${file} holds no key. Take it away, and start again: rm ${file}; npm start`);
}

/** Keeps a key, or another secret, in a file that its owner alone may read. */
export function writeKey(file: string, key: string): void {
  writePrivately(file, `${key}\n`);
}

/** What a file says; undefined where there is none. */
function textIn(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The secret with which a stack signs what it tells agents, made where there is none. */
export function signingSecret(dataDir: string): string {
  const file = join(dataDir, "signing-secret");
  const kept = textIn(file);
  if (kept !== undefined) return kept;
  const secret = randomBytes(32).toString("base64url");
  writeKey(file, secret);
  return secret;
}

/** A path as whoever started the stack would type it. */
export function near(path: string): string {
  const from = relative(process.cwd(), path);
  return from.startsWith("..") ? path : from;
}

/** The option of curl that sends the owner's key. */
export function keyOption(dataDir: string): string {
  return `-H "Authorization: Bearer $(cat ${near(keyFile(dataDir))})"`;
}

/** What whoever calls without a key is told to do. */
export function keyHelp(dataDir: string): string {
  return `Send one: curl ${keyOption(dataDir)} …`;
}

const LOOPBACK = /^(localhost|127\.[0-9.]+|\[::1\])$/;

/** A key for the API at this address, and the file that it is from unless the environment has it. */
export type Found = { key: string; file?: string };

/**
 * The key of WAYBILL_API_KEY, else that of a stack's data folder, which goes nowhere but to this machine; undefined where there is none.
 */
export function findKeyFor(url: string, dataDir = resolve(readSettings(localSettings).dataDir)): Found | undefined {
  const { key } = readSettings({ key: agentSettings.apiKey });
  if (key !== undefined) return { key };
  const file = keyFile(dataDir);
  const kept = LOOPBACK.test(new URL(url).hostname) ? readKey(file) : undefined;
  return kept === undefined ? undefined : { key: kept, file };
}
