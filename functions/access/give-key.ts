import { type Given, giveKey, parseGive } from "../../lib/wiring/give-key.ts";

/**
 * Invoked by a deploy, never from outside: takes {give: first | first-again | smoke} and answers the key, this once; null where the first
 * one was given before. Whoever may invoke it is an owner of the team default.
 */
export async function handler(event: unknown): Promise<Given> {
  return await giveKey(parseGive(event));
}
