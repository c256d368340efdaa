import { within } from "../time.ts";
import type { CallEnd } from "./attempt/call.ts";
import type { Dialect } from "./dialects/dialect.ts";
import type { Json } from "./dialects/json.ts";
import { sseComment, sseText } from "./dialects/sse.ts";
import { refusalBody, refusalOf } from "./refusals.ts";

/** A comment is sent after so long without anything. */
const BEAT_MS = 10_000;

type Run = AsyncGenerator<string, CallEnd>;

/** What a stream says besides the answer, and who is told what goes out. */
export type StreamTold = {
  dialect: Dialect;
  callId: string;
  facts: (end: CallEnd) => Json;
  onPiece: (piece: string) => void;
  onEnd: (end: CallEnd) => void;
};

/**
 * A streamed answer as it goes to the caller: the events of `run`, whose `first` has been asked for already, comments while
 * nothing comes, and at the end either [DONE] or an error event, never both.
 */
export async function* streamReply(
  run: Run,
  first: ReturnType<Run["next"]>,
  told: StreamTold,
): AsyncGenerator<string, void> {
  let pending = first;
  try {
    for (;;) {
      const step = await within(BEAT_MS, pending, () => undefined);
      if (step === undefined) yield sseComment("still at it");
      else if (step.done) {
        told.onEnd(step.value);
        yield* lastEvents(step.value, told);
        return;
      } else {
        told.onPiece(step.value);
        yield step.value;
        pending = run.next();
      }
    }
  } finally {
    // Closes the loop at its yield: the vendor is hung up on, and what came is accounted.
    await run.return(undefined as never);
  }
}

function* lastEvents(end: CallEnd, { dialect, callId, facts }: StreamTold): Generator<string> {
  if (!end.ok) {
    const body = refusalBody(dialect, refusalOf(end.failure, end.tried), callId);
    yield dialect === "messages" ? sseText("error", body) : sseText(undefined, body);
  }
  yield sseComment(`waybill ${JSON.stringify({ call_id: callId, ...facts(end) })}`);
  if (end.ok && dialect === "chat") yield sseText(undefined, "[DONE]");
}
