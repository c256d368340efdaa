import { type Actor, DEFAULT_TEAM } from "../access/actor.ts";
import { refusedAs } from "../access/refused.ts";
import type { Db } from "../runtime/postgres/db.ts";
import { type Transactions, teamTransactions } from "../runtime/postgres/team.ts";
import type { ControlPlane } from "./control-plane.ts";

/**
 * Where an actor's use cases open their transactions: a caller sees its team alone there, and nothing at all once its key is revoked or
 * has expired; the system sees all teams.
 */
export function teamOn({ db }: Pick<ControlPlane, "db">, actor: Actor): Transactions {
  if (actor.kind === "system") return { begin: async (run) => (await db.begin(run)) as never };
  const { team, keyId } = actor;
  return teamTransactions(db, { team, keyId }, () => refusedAs("key_not_valid"));
}

/** Runs it in one transaction of the actor's. */
export async function inTeam<T>(
  plane: Pick<ControlPlane, "db">,
  actor: Actor,
  run: (db: Db) => Promise<T>,
): Promise<T> {
  return await teamOn(plane, actor).begin(run);
}

/** The agents of the actor's team whose queue the environment names: those that ship are the default team's. */
export function agentsOf({ agents }: Pick<ControlPlane, "agents">, { team }: Pick<Actor, "team">): string[] {
  return team === DEFAULT_TEAM ? agents : [];
}
