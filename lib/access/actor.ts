/** What a person or a service may be in a team; each may what those before it may. */
export const ROLES = ["viewer", "member", "admin", "owner"] as const;
export type Role = (typeof ROLES)[number];

/** What a key may be narrowed to. */
export const SCOPES = [
  "work:read",
  "work:write",
  "work:approve",
  "agents:write",
  "llm:use",
  "access:write",
  "audit:read",
] as const;
export type Scope = (typeof SCOPES)[number];

/** The team of what there was before there were teams; it is always there. */
export const DEFAULT_TEAM = "00000000-0000-4000-8000-000000000001";

/** What a key may be used; null: as much as there is. Bytes are those of the bodies that are sent with it, in a day of UTC. */
export type Limits = { requestsPerSecond: number | null; bytesPerDay: number | null };

/** From where something was asked, and its trace; `ip` null where nobody says it. */
export type Origin = { ip: string | null; traceId: string };

/** Who called. A `user`: a person, by a key or by OIDC; a `service` or an `agent`: by a key of its own; `iam`: who signed the call. */
export type Caller = {
  kind: "user" | "service" | "agent" | "iam";
  /** By which "its own" is told: of the user, or else of the key. */
  id: string;
  /** What created_by and by say; an agent's is agent:NAME, a service's key:NAME. */
  name: string;
  team: string;
  /** Null for an agent, which may what a route says of agents. */
  role: Role | null;
  /** What of its role, where its key says so; null: all of it. */
  scopes: readonly Scope[] | null;
  keyId: string | null;
  /** The agent whose key it is. */
  agent: string | null;
  /** It has shown the secret that its key had before a rotation: `scopes` lack what manages access. */
  isEarlier?: true;
  /** How much its key may be used, where that has limits. */
  limits?: Limits;
  /** Of the call that it makes now. */
  origin?: Origin;
};

/** The control plane itself, such as its sweep; or a command on the database. Of no team: it acts for all of them. */
export type System = { kind: "system"; name: string; team: string | null; origin?: Origin };

/** For whom a use case acts. */
export type Actor = Caller | System;

/** The actor of what no caller asked for: the function's name says what did. */
export function system(name: string, team: string | null = null): System {
  return { kind: "system", name, team };
}

/** An actor in one word, for a log line. */
export function tellActor(actor: Actor): string {
  return actor.kind === "system" ? `system:${actor.name}` : actor.name;
}

/** The team in which an actor makes something. Throws for one that acts for all: that is a fault of ours. */
export function teamOf({ kind, name, team }: Actor): string {
  if (team === null) throw new Error(`${kind} ${name} acts for all teams, and must say for which.`);
  return team;
}

/** The agent that calls with a key of its own; null for whoever else calls. */
export function agentOf(actor: Actor): string | null {
  return actor.kind === "agent" ? actor.agent : null;
}
