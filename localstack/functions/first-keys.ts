import { DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { newKey, newPrefix } from "../../lib/access/keys/secret.ts";
import { type Holder, putKey } from "../../lib/access/operator/put-key.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect, type Pool } from "../../lib/runtime/postgres/db.ts";
import { keyFile, readKey, writeKey } from "../parts/keys.ts";

const ACTOR = system("local-stack");
const OWNER: Holder = { team: DEFAULT_TEAM, name: "local-owner", user: "owner", role: "owner" };

/**
 * Gives the data folder its keys: one of the first owner, and one of each of these agents. What is there is kept, and put into the database
 * again where that is a new one; one that was revoked is replaced. Answers whether the owner's is new.
 */
export async function giveKeys(dataDir: string, agents: readonly string[], source = process.env): Promise<boolean> {
  const db = connect(source, undefined, { max: 1 });
  try {
    for (const agent of agents) {
      await giveKey(db, keyFile(dataDir, agent), { team: DEFAULT_TEAM, name: `local-agent-${agent}`, agent });
    }
    return await giveKey(db, keyFile(dataDir), OWNER);
  } finally {
    await db.end({ timeout: 1 });
  }
}

async function giveKey(pool: Pool, file: string, holder: Holder): Promise<boolean> {
  const put = async (key: string) =>
    await pool.begin(async (db) => await putKey(db, ACTOR, { key, keyId: uuidv7() }, holder));
  const kept = readKey(file);
  if (kept !== undefined && (await put(kept))) return false;
  const key = newKey(newPrefix());
  // First the file: a key that nobody has is of no use.
  writeKey(file, key);
  await put(key);
  return true;
}
