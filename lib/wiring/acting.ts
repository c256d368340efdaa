import { type Actor, type Caller, system, tellActor } from "../access/actor.ts";
import { may, type Need } from "../access/may.ts";
import { deniedAs } from "../access/refused.ts";
import type { Answer, Asked, Call, Route } from "../runtime/http/route.ts";
import { json, type Served } from "../runtime/http/serve.ts";

/** Who makes a call, which counts against its key. Throws a CallerError: 401 or 403 where nobody is taken for its caller, 429 where its key has no more. */
export type Identify = (asked: Pick<Asked, "authorizer" | "headers" | "bytes">) => Promise<Caller>;

/**
 * Serves a route by what takes the actor of each call; the call's log line names it. Whoever is not known or may not make it is refused
 * before anything else of the call is looked at. An open route is served for the control plane itself.
 */
export function acting<const R extends Route>(
  identify: Identify,
  route: R,
  run: (actor: Actor, call: Call<R>) => Promise<Answer>,
): Served {
  const { access, operation } = route;
  return json(
    route,
    async (call, actor: Actor) => await run(actor, call),
    async (asked) => (access === "open" ? system(operation) : await admitted(identify, access, asked)),
  );
}

/** The caller of a call that asks for this. Throws a CallerError: 401 where it is not known, 403 where it may not. */
export async function admitted(identify: Identify, need: Need, asked: Asked): Promise<Caller> {
  const caller = await identify(asked);
  asked.tell({ actor: tellActor(caller) });
  const denied = may(caller, need, asked.params["name"]);
  if (denied !== undefined) throw deniedAs(denied);
  return caller;
}
