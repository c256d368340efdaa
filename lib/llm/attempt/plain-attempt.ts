import type { Failure } from "../config/failure.ts";
import { parseObject } from "../dialects/json.ts";
import { type Attempt, failureOf, faultOf, readAll, send, withoutKey } from "./attempt.ts";
import { startClock } from "./clock.ts";

export type PlainEnd = { ok: true; text: string } | { ok: false; failure: Failure };

/** Asks for the whole answer. */
export async function plainAttempt(attempt: Attempt): Promise<PlainEnd> {
  const answer = await askPlain(attempt);
  return answer.ok ? answer : { ok: false, failure: withoutKey(answer.failure, attempt.key) };
}

async function askPlain(attempt: Attempt): Promise<PlainEnd> {
  const clock = startClock(attempt);
  try {
    const inbound = await send(attempt, clock, attempt.bridge.request(attempt.body, attempt.model));
    const text = await readAll(inbound, clock, attempt.clocks.idle_ms);
    const answer = parseObject(text);
    const failure = failureOf(inbound, answer, text, attempt.now());
    if (failure !== undefined) return { ok: false, failure };
    if (answer === undefined || !attempt.bridge.read(answer, attempt.watch)) {
      return {
        ok: false,
        failure: {
          class: "bad_answer",
          status: inbound.status,
          message: "the vendor's answer is not what was asked for",
        },
      };
    }
    attempt.onFirstToken();
    const translated = attempt.bridge.answer(answer, Math.floor(attempt.now() / 1000));
    return { ok: true, text: translated === undefined ? text : JSON.stringify(translated) };
  } catch (error) {
    return { ok: false, failure: faultOf(error, clock) };
  } finally {
    clock.stop();
  }
}
