import { DEFAULT_TEAM, system } from "../../../lib/access/actor.ts";
import { putKey } from "../../../lib/access/operator/put-key.ts";
import { prefixOf } from "../../../lib/protocol/api-key.ts";
import { type Message, serialiseMessage } from "../../../lib/protocol/messages.ts";
import { publicKeyOf, type Sign, signingKeyOf, signWith } from "../../../lib/protocol/signature.ts";
import { uuidv7 } from "../../../lib/runtime/ids.ts";
import type { Pool } from "../../../lib/runtime/postgres/db.ts";

/** The signing secret of the control plane in tests; tests/support/setup.ts gives it to functions. */
export const SIGNING_SECRET = "a secret for tests alone, of enough characters";

const key = signingKeyOf(SIGNING_SECRET);

/** Signs as the control plane does in tests. */
export const SIGN: Sign = signWith(key);

/** What an agent of tests is told to trust. */
export const TRUSTED = publicKeyOf(key).toString("base64url");

/** The key of an agent in tests, by its name: always the same, and in the database only where a test puts it there. */
export function agentKey(agent: string): string {
  const letters = agent.replaceAll(/[^0-9A-Za-z]/g, "");
  return `wb_${letters.padEnd(12, "0").slice(0, 12)}_${letters.padEnd(43, "0").slice(0, 43)}`;
}

/** The variables that tell an agent who it is, and by whose word it acts. */
export function identityOf(agent: string): { WAYBILL_API_KEY: string; CONTROL_PLANE_KEYS: string } {
  return { WAYBILL_API_KEY: agentKey(agent), CONTROL_PLANE_KEYS: TRUSTED };
}

/** Signs as that agent. */
export function signAs(agent: string): Sign {
  return signWith(signingKeyOf(agentKey(agent)), prefixOf(agentKey(agent)));
}

/** A message of an agent as it is on the queue. */
export function fromAgent(message: Message): string {
  return serialiseMessage(message, signAs(message.from_agent));
}

/** Has a team hold the keys of these agents, so that what they sign is believed. */
export async function knowAgents(pool: Pool, agents: readonly string[], team = DEFAULT_TEAM): Promise<void> {
  for (const agent of agents) {
    const holder = { team, name: `agent-${agent}`, agent };
    await pool.begin(async (db) => await putKey(db, system("test"), { key: agentKey(agent), keyId: uuidv7() }, holder));
  }
}
