import { ConfigError } from "../errors.ts";
import { prefixOf } from "../protocol/api-key.ts";
import { type Sign, signingKeyOf, signWith } from "../protocol/signature.ts";
import type { AgentSettings } from "./transports/env.ts";
import { type Trust, trustApi, trustIn } from "./trust.ts";

/** Who an agent is to the control plane, and by what it knows that one. */
export type Identity = { sign: Sign; trust: Trust };

/** The identity that an agent's settings give it. Throws a ConfigError that says what is missing. */
export function identityOf({ key, trusted, api, dataDir }: AgentSettings): Identity {
  const keyId = prefixOf(key ?? "");
  if (key === undefined || keyId === undefined) {
    throw new ConfigError(
      "WAYBILL_API_KEY must be a key of this agent (wb_…): by it its messages are signed. Make one: waybill keys create NAME --agent NAME",
    );
  }
  if (trusted.length === 0 && api === undefined) {
    throw new ConfigError(
      "WAYBILL_API_URL must be set, or CONTROL_PLANE_KEYS: an agent acts on nothing but what the control plane has signed.",
    );
  }
  const trust = trusted.length > 0 || api === undefined ? trustIn(trusted) : trustApi(api, dataDir);
  return { sign: signWith(signingKeyOf(key), keyId), trust };
}
