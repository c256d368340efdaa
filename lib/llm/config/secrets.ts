import { type Parsed, parseConfig } from "./config.ts";
import type { ReadSecret } from "./keys.ts";
import type { Surroundings } from "./schema.ts";

/** Secrets Manager has answered, and there is no such secret for us: nothing that passes by itself. */
const ABSENT = new Set(["ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException"]);

/**
 * Reads the configuration and every secret that a key comes from, so that one that cannot be had is a fault with its line
 * beside all others. An optional provider is left out where its secret is absent; where Secrets Manager just does not answer
 * the provider stays, and the key is read again with the next call.
 */
export async function parseWithSecrets(text: string, around: Surroundings, read: ReadSecret): Promise<Parsed> {
  const named = new Map<string, boolean>();
  const onSecret = (name: string, optional: boolean) => void named.set(name, optional && named.get(name) !== false);
  const parsed = parseConfig(text, { ...around, onSecret });
  const unreadable = new Map<string, { reason: string; passing: boolean }>();
  await Promise.all(
    Array.from(named, async ([name, optional]) => {
      try {
        await read(name, {});
      } catch (error) {
        const { code, name: kind = "unknown" } = error as { code?: string; name?: string };
        const reason = code ?? kind;
        unreadable.set(name, { reason, passing: optional && !ABSENT.has(reason) });
      }
    }),
  );
  return unreadable.size === 0 ? parsed : parseConfig(text, { ...around, unreadable });
}
