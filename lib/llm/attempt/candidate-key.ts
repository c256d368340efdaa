import type { Failure } from "../config/failure.ts";
import type { Provider } from "../config/schema.ts";
import type { GatewayDeps } from "./call.ts";

/** The key that one candidate is asked with: its provider's, or another version of it once that was refused. */
export class CandidateKey {
  readonly #deps: Pick<GatewayDeps, "keys" | "onWarning">;
  #other: string | undefined;
  #renewed = false;

  constructor(deps: Pick<GatewayDeps, "keys" | "onWarning">) {
    this.#deps = deps;
  }

  /** Whether another version has not been looked for yet. */
  mayChange(): boolean {
    return !this.#renewed;
  }

  /** The key, undefined where the provider takes none; `keyFault` where there is one that cannot be read. */
  async read(provider: Provider): Promise<{ key: string | undefined; keyFault: Failure | undefined }> {
    if (this.#other !== undefined) return { key: this.#other, keyFault: undefined };
    try {
      return { key: await this.#deps.keys.key(provider), keyFault: undefined };
    } catch (error) {
      const reason = error instanceof Error ? error.name : "unknown";
      const message = `the key of ${provider.name} cannot be read (${reason})`;
      return { key: undefined, keyFault: { class: "auth", message } };
    }
  }

  /** Looks for another version than the one that was refused. Answers whether there is one. */
  async renew(provider: Provider, refused: string | undefined): Promise<boolean> {
    this.#renewed = true;
    this.#other = await this.#deps.keys.other(provider, refused);
    if (this.#other === undefined) return false;
    this.#deps.onWarning("llm key refused, another version tried", { provider: provider.name });
    return true;
  }
}
