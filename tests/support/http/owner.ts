import { type Caller, DEFAULT_TEAM } from "../../../lib/access/actor.ts";
import { toContext } from "../../../lib/access/identity/context.ts";
import { uuidOf } from "../../../lib/runtime/ids.ts";

/** An owner of the team default, the same one for the same name, as a key of its own makes it a caller. */
export function ownerNamed(name: string): Caller {
  return {
    kind: "user",
    id: uuidOf(name),
    name,
    team: DEFAULT_TEAM,
    role: "owner",
    scopes: null,
    keyId: null,
    agent: null,
  };
}

/** What stands before a function says of the owner by this name, as its event has it. */
export function known(name: string): { authorizer: { lambda: Record<string, string> } } {
  return { authorizer: { lambda: toContext({ caller: ownerNamed(name), until: null }) } };
}
export const KNOWN = known("owner");

/** Who a body, or its text, says that it is of; else owner. */
export function namedIn(body: unknown): string {
  const { by, created_by } = (typeof body === "string" ? parsed(body) : (body ?? {})) as Record<string, unknown>;
  const said = by ?? created_by;
  return typeof said === "string" && /^[^\s:]([^:]{0,198}[^\s:])?$/.test(said) ? said : "owner";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
