import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../runtime/log.ts";
import type { Clock } from "./clock.ts";
import { processName } from "./speaker.ts";
import { type Api, type Call, callApi } from "./transports/api.ts";
import { retryMs } from "./transports/transport.ts";

/** An agent's definition: the path of its YAML or JSON file, or the definition itself. */
export type Definition = string | URL | Readonly<Record<string, unknown>>;

/**
 * Puts the agent's definition into the registry and says from then on that the agent is there, until `stop`. The agent works whether
 * or not the API answers: what fails is logged and tried again. Without an API that is said once. Throws only where the
 * definition's file cannot be read.
 */
export function register(
  name: string,
  definition: Definition | undefined,
  api: Api | undefined,
  clock: Clock,
): { stop: () => void } {
  const put = definition === undefined ? undefined : putOf(name, definition);
  const stopping = new AbortController();
  if (api === undefined) {
    log.info("agent not registered", {
      agent: name,
      todo: "set WAYBILL_API_URL, so that the router knows it is there",
    });
  } else void stayRegistered(name, put, api, stopping.signal, clock);
  return { stop: () => stopping.abort() };
}

function putOf(name: string, definition: Definition): Call {
  // Whoever deactivated it has decided so: a process that starts again does not undo that.
  const path = `/agents/${name}?reactivate=false`;
  if (typeof definition !== "string" && !(definition instanceof URL)) {
    return { method: "PUT", path, type: "application/json", body: JSON.stringify(definition) };
  }
  const type = String(definition).endsWith(".json") ? "application/json" : "application/yaml";
  return { method: "PUT", path, type, body: readFileSync(definition, "utf8") };
}

async function stayRegistered(
  name: string,
  put: Call | undefined,
  api: Api,
  signal: AbortSignal,
  clock: Clock,
): Promise<void> {
  const body = JSON.stringify({ instance: processName() });
  const presence: Call = { method: "POST", path: `/agents/${name}/presence`, type: "application/json", body };
  const say = speaker(name, api, clock);
  let toPut = put;
  for (let failures = 0; !signal.aborted; ) {
    const stored = toPut === undefined ? "taken" : await say("agent registered", toPut);
    // What was refused once will be again; the registry may know the agent by another hand.
    if (stored !== "unanswered") toPut = undefined;
    if (stored === "refused") put = undefined;
    const heard = stored === "unanswered" ? stored : await say("agent present", presence);
    // A registry that was emptied meanwhile is told again.
    if (heard === "refused") toPut = put;
    failures = heard === "taken" ? 0 : failures + 1;
    const everyMs = api.everySeconds * 1000;
    const waitMs = failures === 0 ? everyMs : Math.min(everyMs, retryMs(failures));
    await sleep(waitMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

type Answered = "taken" | "refused" | "unanswered";

/** Makes calls and logs how they went; a failure that goes on is logged once. */
function speaker(name: string, api: Api, clock: Clock): (what: string, call: Call) => Promise<Answered> {
  let failing = "";
  const fail = (what: string, outcome: Answered, more: object): Answered => {
    if (failing !== `${what} ${outcome}`) log.warn(`${what}: ${outcome}`, { agent: name, url: api.url, ...more });
    failing = `${what} ${outcome}`;
    return outcome;
  };
  return async (what, call) => {
    try {
      const { status, detail, date } = await callApi(api, call);
      if (date !== undefined) clock.compare(date, "the API");
      if (status >= 300) return fail(what, status < 500 ? "refused" : "unanswered", { status, detail });
      if (call.method === "PUT" || failing !== "") log.info(what, { agent: name });
      failing = "";
      return "taken";
    } catch (error) {
      return fail(what, "unanswered", { error });
    }
  };
}
