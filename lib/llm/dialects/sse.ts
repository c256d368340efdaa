import { createParser, type EventSourceMessage } from "eventsource-parser";
import { BadAnswer } from "../config/failure.ts";

/** More than this without an event is no token of anybody. */
const MAX_EVENT_CHARS = 8_000_000;

/**
 * Cuts bytes into server-sent events, whose data is JSON in both dialects; what follows the last blank line is kept for the
 * bytes to come. Throws BadAnswer where more than eight million characters come without an event.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function sseReader(): { push: (bytes: Uint8Array) => EventSourceMessage[] } {
  const decoder = new TextDecoder();
  let events: EventSourceMessage[] = [];
  let waiting = 0;
  const parser = createParser({ onEvent: (event) => events.push(event) });
  return {
    push: (bytes) => {
      const text = decoder.decode(bytes, { stream: true });
      events = [];
      parser.feed(text);
      // The parser's own bound does not see a line of no known field, which it throws away as it comes.
      waiting = events.length > 0 ? 0 : waiting + text.length;
      if (waiting > MAX_EVENT_CHARS) throw new BadAnswer("an event of the stream is too long");
      return events;
    },
  };
}

/** An event as it goes to the caller; `data` that is no text goes as JSON. */
export function sseText(event: string | undefined, data: unknown): string {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return event === undefined ? `data: ${text}\n\n` : `event: ${event}\ndata: ${text}\n\n`;
}

/** A comment: clients pass over it, proxies see that the connection lives. */
export function sseComment(text: string): string {
  return `: ${text}\n\n`;
}
