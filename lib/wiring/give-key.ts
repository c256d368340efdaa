import * as z from "zod";
import { DEFAULT_TEAM, system } from "../access/actor.ts";
import { createKey } from "../access/keys/keys.ts";
import { CreateKey, type MadeKey } from "../access/keys/schema.ts";
import { firstKey, hasOwner } from "../access/operator/first.ts";
import { CallerError } from "../errors.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { log } from "../runtime/log.ts";
import type { Db } from "../runtime/postgres/db.ts";
import { onPlane } from "./command-plane.ts";

/**
 * What is given. `first`: the key of the first owner, where the team has no owner yet; `first-again`: another one in its place, for who
 * has lost it; `smoke`: one for a smoke test, which is over by itself.
 */
export type Give = z.infer<typeof Give>["give"];
const Give = z.strictObject({ give: z.enum(["first", "first-again", "smoke"]) });

/** A key as a deploy gets it; null where the first one was given before. */
export type Given = Pick<MadeKey, "key" | "key_id" | "name"> | null;

/** What an event asks for. Throws a CallerError, 400, where it is none. */
export function parseGive(event: unknown): Give {
  const asked = Give.safeParse(event);
  if (asked.success) return asked.data.give;
  throw new CallerError(400, "invalid_input", 'Say {"give": "first"}, "first-again" or "smoke".');
}

const DEPLOY = system("deploy", DEFAULT_TEAM);
const SMOKE_MS = 900_000;
/** What a smoke test does: it registers an agent, submits, approves, and revokes its key. */
const SMOKE_SCOPES = ["access:write", "agents:write", "work:approve", "work:read", "work:write"] as const;

/** Gives a key of the team default. The log says that, and not which. */
export async function giveKey(give: Give): Promise<Given> {
  const made = await onPlane(async ({ db }) => await db.begin(async (tx) => await WAYS[give](tx)));
  if (made !== null) log.info("key given", { give, key_id: made.key_id, name: made.name });
  return made;
}

const WAYS: Record<Give, (db: Db) => Promise<Given>> = {
  first: async (db) => ((await hasOwner(db, DEPLOY)) ? null : await again(db)),
  "first-again": again,
  smoke: async (db) => {
    const expires_at = new Date(Date.now() + SMOKE_MS).toISOString();
    const name = `smoke-${uuidv7().slice(-12)}`;
    const wish = CreateKey.parse({ name, kind: "service", role: "admin", scopes: [...SMOKE_SCOPES], expires_at });
    return given(await createKey(db, DEPLOY, { ...wish, keyId: uuidv7() }));
  },
};

async function again(db: Db): Promise<Given> {
  return given(await firstKey(db, DEPLOY, uuidv7()));
}

function given({ key, key_id, name }: MadeKey): Given {
  return { key, key_id, name };
}
