import type { Result } from "./attempt/call.ts";
import type { Dialect } from "./dialects/dialect.ts";
import type { Json } from "./dialects/json.ts";
import { sseComment, sseText } from "./dialects/sse.ts";
import { refusalBody, refusalOf } from "./refusals.ts";

const BEAT_MS = 10_000;

type Run = AsyncGenerator<string, Result>;

/** What the end of a stream says besides the answer. */
export type StreamEnd = { dialect: Dialect; callId: string; facts: (result: Result) => Json };

/**
 * A streamed answer as it goes to the caller: the events of `run`, whose `first` has been asked for already, comments while
 * nothing comes, and at the end either [DONE] or an error event, never both. `onPiece` and `onEnd` are told what goes out.
 */
export async function* streamReply(
  run: Run,
  first: ReturnType<Run["next"]>,
  { dialect, callId, facts }: StreamEnd,
  onPiece: (piece: string) => void,
  onEnd: (result: Result) => void,
): AsyncGenerator<string, void> {
  let pending = first;
  try {
    for (;;) {
      const step = await within(pending, BEAT_MS);
      if (step === undefined) {
        yield sseComment("still at it");
        continue;
      }
      if (step.done) {
        const result = step.value;
        onEnd(result);
        if (!result.ok) yield errorEvent(dialect, result, callId);
        yield sseComment(`waybill ${JSON.stringify({ call_id: callId, ...facts(result) })}`);
        if (result.ok && dialect === "chat") yield sseText(undefined, "[DONE]");
        return;
      }
      onPiece(step.value);
      yield step.value;
      pending = run.next();
    }
  } finally {
    // Closes the loop at its yield: the vendor is hung up on, and what came is accounted.
    await run.return(undefined as never);
  }
}

function errorEvent(dialect: Dialect, result: Result, callId: string): string {
  const refused = refusalOf(result.failure ?? { class: "timeout", message: "no time was left" }, result.tried);
  const body = refusalBody(dialect, refused, callId);
  return dialect === "messages" ? sseText("error", body) : sseText(undefined, body);
}

/** What comes within so many milliseconds; undefined where nothing does. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
