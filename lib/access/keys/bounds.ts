import { CallerError } from "../../errors.ts";
import type { Actor } from "../actor.ts";
import { isAtLeast } from "../may.ts";
import type { Powers } from "./rows.ts";

/**
 * Throws a CallerError, 403, where who gets to know this key could do more by it than it may itself: with a higher role, with a scope
 * that its own key lacks, or in another person's name, which only an owner may give.
 */
export function refuseMoreThanOwn(actor: Actor, { userId, role, scopes }: Powers): void {
  if (actor.kind === "system") return;
  if (actor.role === null) throw refused("agent_not_allowed", "An agent has no keys made. Use a person's key.");
  if (role !== null && !isAtLeast(actor.role, role)) {
    throw refused("role_too_low", `You are ${actor.role}, and give no key with the role ${role}. Ask who has it.`);
  }
  const own = actor.scopes;
  if (own !== null && (scopes === null || scopes.some((scope) => !own.includes(scope)))) {
    throw refused("scope_missing", `Your key has the scopes ${own.join(", ")}. Name some of them as scopes.`);
  }
  if (userId === null || (actor.kind === "user" && actor.id === userId) || actor.role === "owner") return;
  throw refused("not_yours", "The key is another person's. That person, or an owner of the team, may do this.");
}

function refused(code: string, message: string): CallerError {
  return new CallerError(403, code, message);
}
