import { type Actor, actorOf, tellActor } from "../access/actor.ts";
import type { Answer, Call, Route } from "../runtime/http/route.ts";
import { json, type Served } from "../runtime/http/serve.ts";

/** Serves a route by what takes the actor of each call; the call's log line names it. */
export function acting<const R extends Route>(route: R, run: (actor: Actor, call: Call<R>) => Promise<Answer>): Served {
  return json(route, async (call) => {
    const actor = actorOf(call.signature);
    call.tell({ actor: tellActor(actor) });
    return await run(actor, call);
  });
}
