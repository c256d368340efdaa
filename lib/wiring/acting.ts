import { type Actor, type Caller, system, tellActor } from "../access/actor.ts";
import { may, type Need } from "../access/may.ts";
import { deniedAs } from "../access/refused.ts";
import { CallerError } from "../errors.ts";
import type { Answer, Asked, Call, Route } from "../runtime/http/route.ts";
import { json, type Served } from "../runtime/http/serve.ts";

/** Who makes a call, which counts against its key. Throws a CallerError: 401 or 403 where nobody is taken for its caller, 429 where its key has no more. */
export type Identify = (asked: Pick<Asked, "authorizer" | "headers" | "bytes">) => Promise<Caller>;

/** Keeps that a call was refused, after its answer. `actor`: who made it, where that is known. */
export type KeepRefusal = (
  refused: { actor: Caller | undefined; operation: string; status: number; code: string },
  asked: Pick<Asked, "origin" | "waitUntil">,
) => void;

/** Who looks at calls: finds out who makes them, and keeps which it has refused. */
export type Gate = { identify: Identify; keepRefusal: KeepRefusal };

/**
 * Serves a route by what takes the actor of each call; the call's log line names it. Whoever is not known or may not make it is refused
 * before anything else of the call is looked at. An open route is served for the control plane itself, but for whom it tells more.
 */
export function acting<const R extends Route>(
  gate: Gate,
  route: R,
  run: (actor: Actor, call: Call<R>) => Promise<Answer>,
): Served {
  const { access, tells, operation } = route as Route;
  return json(
    route,
    async (call, { actor, asked }: Admitted) => {
      if (actor.kind === "system") return await run(actor, call);
      return await keeping(gate, operation, actor, asked, async () => await run(actor, call));
    },
    async (asked) => {
      if (access === "open") return { actor: await perhapsKnown(gate, operation, tells, asked), asked };
      return { actor: await admitted(gate, operation, access, asked), asked };
    },
  );
}

type Admitted = { actor: Actor; asked: Asked };

/** The caller of a call that asks for this. Throws a CallerError: 401 where it is not known, 403 where it may not. */
export async function admitted(gate: Gate, operation: string, need: Need, asked: Asked): Promise<Caller> {
  const caller = await keeping(gate, operation, undefined, asked, async () => await gate.identify(asked));
  asked.tell({ actor: tellActor(caller) });
  const actor = { ...caller, origin: asked.origin };
  const denied = may(caller, need, asked.params["name"]);
  if (denied === undefined) return actor;
  return await keeping(gate, operation, actor, asked, async () => await Promise.reject(deniedAs(denied)));
}

/** Who calls an open route, where it is somebody whom that tells more; else the control plane itself, whatever is wrong with what was shown. */
async function perhapsKnown(gate: Gate, operation: string, tells: Need | undefined, asked: Asked): Promise<Actor> {
  const { origin } = asked;
  const nobody = { ...system(operation), origin };
  if (tells === undefined) return nobody;
  try {
    const caller = await gate.identify(asked);
    if (may(caller, tells) !== undefined) return nobody;
    asked.tell({ actor: tellActor(caller) });
    return { ...caller, origin };
  } catch {
    // Also a database that is away or has no tables yet, which is what such a call may be about.
    return nobody;
  }
}

/** Keeps it where a run is refused 401 or 403; too many calls are no attempt. */
async function keeping<T>(
  { keepRefusal }: Gate,
  operation: string,
  actor: Caller | undefined,
  asked: Asked,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof CallerError && (error.status === 401 || error.status === 403)) {
      keepRefusal({ actor, operation, status: error.status, code: error.code }, asked);
    }
    throw error;
  }
}
