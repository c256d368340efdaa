import { keySource } from "./references.ts";
import type { Provider } from "./schema.ts";

/** Reads a secret: `fresh` past the cache; `previous` the version before a rotation, undefined where there is none. */
export type ReadSecret = (name: string, want: { fresh?: boolean; previous?: boolean }) => Promise<string | undefined>;

export type Keyring = {
  /** The provider's key; undefined where it takes none. */
  key: (provider: Provider) => Promise<string | undefined>;
  /** Another key to try after this one was refused: a fresh one, else the one before the rotation; undefined where there is none. */
  other: (provider: Provider, refused: string | undefined) => Promise<string | undefined>;
};

/** The keys of the providers, from the environment or from Secrets Manager. */
export function keyring(
  around: { env: Record<string, string | undefined>; secrets: boolean },
  read: ReadSecret,
): Keyring {
  const sourceOf = (provider: Provider) =>
    provider.key === undefined ? undefined : keySource(provider.key, around, provider.local);
  return {
    key: async (provider) => {
      const source = sourceOf(provider);
      if (source === undefined) return undefined;
      if ("value" in source) return source.value;
      if ("secret" in source) return tidyKey(await read(source.secret, {}));
      throw new Error(`provider ${provider.name}: ${source.fault}`);
    },
    other: async (provider, refused) => {
      const source = sourceOf(provider);
      if (source === undefined || !("secret" in source)) return undefined;
      for (const want of [{ fresh: true }, { previous: true }]) {
        const key = tidyKey(await read(source.secret, want).catch(() => undefined));
        if (key !== undefined && key !== refused) return key;
      }
      return undefined;
    },
  };
}

/** A newline at the end of a stored key would break the header it is sent in. */
function tidyKey(key: string | undefined): string | undefined {
  return key?.trim();
}
