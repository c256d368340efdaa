import { type Actor, type Caller, ROLES, type Role, type Scope } from "./actor.ts";

/**
 * What a call asks of its caller. `agents`: which agents may make it, by keys of their own: `themselves`, the one that the path names
 * alone; without it none.
 */
export type Need = { role: Role; scope: Scope; agents?: "any" | "themselves" };

/** The scope of what makes keys and members. A secret that was rotated away has it no more: it may be why somebody rotated. */
export const MANAGES_ACCESS: Scope = "access:write";

/** To read what a team has: its work, its agents, what they come to. */
export const READER: Need = { role: "viewer", scope: "work:read" };

/** Whether this is a call of the LLM gateway: that looks at keys by itself, as clients of models send them in other headers, too. */
export function isOfModels({ scope }: Need): boolean {
  return scope === "llm:use";
}

/** Who may make a call. `open`: whoever knows the address. */
export type Access = "open" | Need;

/** Why a caller may not: the code is stable, for programs, and the message says what would do. */
export type Denied = { code: DenialCode; message: string };
export type DenialCode = (typeof DENIAL_CODES)[number];
export const DENIAL_CODES = [
  "role_too_low",
  "scope_missing",
  "agent_not_allowed",
  "other_agent",
  "earlier_secret",
] as const;

/** Whether what the first role may includes all that the second may. */
export function isAtLeast(role: Role, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

/** The one of two roles that may less. */
export function lesser(one: Role, other: Role): Role {
  return isAtLeast(one, other) ? other : one;
}

/** Why this caller may not make a call that asks for this, where `named` is the agent of its path; undefined: it may. */
export function may(
  { role, scopes, agent, isEarlier }: Pick<Caller, "role" | "scopes" | "agent" | "isEarlier">,
  need: Need,
  named?: string,
): Denied | undefined {
  if (role === null) {
    if (need.agents === undefined)
      return { code: "agent_not_allowed", message: `No agent may do this: it takes the role ${need.role}.` };
    if (need.agents === "themselves" && (agent === null || agent !== named))
      return { code: "other_agent", message: "An agent may do this for itself alone. Use the key of the agent named." };
  } else if (!isAtLeast(role, need.role)) {
    const message = `This takes the role ${need.role}, and yours is ${role}. Ask an owner of your team.`;
    return { code: "role_too_low", message };
  }
  if (scopes === null || scopes.includes(need.scope)) return undefined;
  if (isEarlier && need.scope === MANAGES_ACCESS)
    return { code: "earlier_secret", message: "The key has been rotated: keys and members take its new secret." };
  return { code: "scope_missing", message: `This takes the scope ${need.scope}, which your key does not have.` };
}

/**
 * Why an actor may not have what it does count as an agent's, such as against its budget; undefined: it may. An agent speaks for itself
 * alone; for any of its team a program's key does, and who may look after agents.
 */
export function maySpeakFor(actor: Actor, agent: string): Denied | undefined {
  if (actor.kind === "system" || actor.kind === "service") return undefined;
  if (actor.kind === "agent") {
    const message = `This is the key of the agent ${actor.agent}, which speaks for no other. Leave the agent out.`;
    return actor.agent === agent ? undefined : { code: "other_agent", message };
  }
  if (actor.role !== null && isAtLeast(actor.role, "admin")) return undefined;
  const message = `To speak for the agent ${agent} takes its own key, a service's, or the role admin. Leave the agent out.`;
  return { code: "role_too_low", message };
}

/** Whether a code says that a caller may not, as those of Denied do. */
export function isDenial(code: unknown): code is DenialCode {
  return (DENIAL_CODES as readonly unknown[]).includes(code);
}
