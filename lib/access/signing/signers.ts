import type { Db } from "../../runtime/postgres/db.ts";

/** Whose signatures a key makes, and how its public halves are: two while it rotates. `over`: why it is good no more. */
export type AgentKey = {
  keyId: string;
  teamId: string;
  agent: string;
  publicKeys: Uint8Array[];
  over: "revoked" | "expired" | "made before agents signed" | null;
};

type Row = Omit<AgentKey, "publicKeys"> & { publicKey: Uint8Array | null; previous: Uint8Array | null };

/** The agents' keys with these ids, which is what they begin with; what is no agent's key is left out. */
export async function agentKeys(db: Db, keyIds: readonly string[]): Promise<ReadonlyMap<string, AgentKey>> {
  const rows = await db<Row[]>`
    select prefix as key_id, team_id, agent_name as agent, public_key,
      case when previous_until > now() then previous_public_key end as previous,
      case
        when revoked_at is not null then 'revoked'
        when expires_at <= now() then 'expired'
        when public_key is null then 'made before agents signed'
      end as over
    from api_keys where prefix = any(${keyIds as string[]}::text[]) and agent_name is not null
  `;
  return new Map(
    rows.map(({ publicKey, previous, ...key }) => [
      key.keyId,
      { ...key, publicKeys: [publicKey, previous].filter((one) => one !== null) },
    ]),
  );
}
