import { createHash } from "node:crypto";
import type { AgentKey } from "../../access/signing/signers.ts";
import type { Message, Raw } from "../../protocol/messages.ts";
import { isSignedBy } from "../../protocol/signature.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Attempt, Work } from "../attempts/work.ts";

/** What is asked of a message: how agents' keys are found, and whether one without a signature is believed all the same. */
export type Proofs = {
  agentKeys: (db: Db, keyIds: readonly string[]) => Promise<ReadonlyMap<string, AgentKey>>;
  unsignedToo: boolean;
};

/** That a message is not believed, and why: it is kept as evidence, and changes nothing. */
export class Unproven extends Error {
  override name = "Unproven";
  /** The team whose work it is about, else that of the key; undefined where neither is known. */
  readonly team: string | undefined;
  readonly keyId: string | undefined;
  constructor(reason: string, { team, keyId }: { team?: string | undefined; keyId?: string | undefined }) {
    super(reason);
    this.team = team;
    this.keyId = keyId;
  }
}

/**
 * Why what a message says of work is not believed, or undefined where it is: it must be signed by the key of the agent that it is from, in
 * the team of the work, be about an attempt that this agent was given, and tell a token of that attempt. Work that is not there has
 * nothing to lose: of that only the signature is asked. Changes nothing.
 */
export function whyUnproven(
  message: Message,
  raw: Raw,
  work: Work | undefined,
  keys: ReadonlyMap<string, AgentKey>,
  { unsignedToo }: Pick<Proofs, "unsignedToo">,
): Unproven | undefined {
  const { key_id: keyId, signature, from_agent: agent } = message;
  const key = keyId === undefined ? undefined : keys.get(keyId);
  const about = { team: work?.teamId ?? key?.teamId, keyId };
  const unproven = (reason: string) => new Unproven(reason, about);
  if (signature === undefined && keyId === undefined) {
    return unsignedToo ? undefined : unproven("it is not signed; the agent needs a key of its own as WAYBILL_API_KEY");
  }
  if (key === undefined) return unproven(`it is signed with the key ${keyId ?? "of no id"}, which is no agent's`);
  if (key.agent !== agent) return unproven(`it is from ${agent}, and signed with a key of ${key.agent}`);
  if (work !== undefined && key.teamId !== work.teamId) return unproven("it is signed with a key of another team");
  if (key.over !== null) return unproven(`its key was ${key.over}; give the agent another: waybill keys rotate`);
  if (!key.publicKeys.some((one) => isSignedBy(raw, one))) return unproven("its signature is not that of its key");
  return work === undefined ? undefined : whyNotGiven(message, work, unproven);
}

function whyNotGiven(
  { from_agent: agent, payload }: Message,
  work: Work,
  unproven: (reason: string) => Unproven,
): Unproven | undefined {
  const number = payload.attempt ?? work.attempt;
  const attempt = work.attempts.find((one) => one.attempt === number);
  if (attempt === undefined) return unproven(`attempt ${number} was not given to anybody`);
  if (attempt.agent !== agent) return unproven(`attempt ${number} was given to ${attempt.agent}`);
  if (attempt.leaseTokens === null) return undefined;
  const { lease_token: token } = payload;
  if (token === undefined) return unproven(`it does not tell the token of attempt ${number}`);
  return isOneOf(attempt.leaseTokens, token) ? undefined : unproven(`its token is not one of attempt ${number}`);
}

/** By their hashes, so the time that it takes tells nothing of a token. */
function isOneOf(hashes: NonNullable<Attempt["leaseTokens"]>, token: string): boolean {
  return hashes.includes(createHash("sha256").update(token).digest("hex"));
}
