import { CallerError } from "../errors.ts";
import type { Actor } from "./actor.ts";

/** Who did something, as it is kept: the name, the user or key that it names, and for whom a service says that it did it. */
export type Author = { by: string; byId: string | null; onBehalfOf: string | null };

/**
 * Who did something: its caller. Where the call says who, in `field`, it must say the same. A service may say for whom it acts. Throws a
 * CallerError, 403, for either said otherwise.
 */
export function authorOf(
  actor: Actor,
  field: "by" | "created_by",
  said: { by: string | undefined; onBehalfOf: string | undefined },
): Author {
  if (actor.kind === "system") return { by: said.by ?? tell(actor.name), byId: null, onBehalfOf: null };
  const { kind, name, id } = actor;
  if (said.by !== undefined && said.by !== name) {
    const message = `is ${said.by}, but the call is ${name}'s. Leave it out; a service may say on_behalf_of beside it`;
    throw refusal("not_yourself", field, message);
  }
  if (said.onBehalfOf !== undefined && kind !== "service") {
    throw refusal("not_a_service", "on_behalf_of", "is for the key of a service. Leave it out");
  }
  return { by: name, byId: id, onBehalfOf: said.onBehalfOf ?? null };
}

const tell = (name: string) => `system:${name}`;

/** Throws a CallerError, 403, where a member would do this to work that is not its own. */
export function mustBeOwn(actor: Actor, createdById: string | null): void {
  if (actor.kind === "system" || actor.role !== "member" || actor.id === createdById) return;
  const message = "A member cancels and retries its own work. Ask an admin of the team to do it.";
  throw new CallerError(403, "not_yours", message);
}

function refusal(code: string, field: string, message: string): CallerError {
  return new CallerError(403, code, `${field} ${message}.`, { fields: [{ field, message }] });
}
