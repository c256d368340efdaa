import { BadAnswer } from "../config/failure.ts";

/** One server-sent event: its data, which is JSON in both dialects, and its name where it has one. */
export type SseEvent = { event?: string; data: string };

/** An event longer than this is no token of anybody. */
const MAX_EVENT_CHARS = 8_000_000;

/**
 * Cuts bytes into events; what follows the last blank line is kept for the bytes to come. Throws BadAnswer for an event of more
 * than eight million characters.
 */
export function sseReader(): { push: (bytes: Uint8Array) => SseEvent[] } {
  const decoder = new TextDecoder();
  // The beginning of an event, in the pieces that came: each is looked at once, however long the event gets.
  let pieces: string[] = [];
  let size = 0;
  let last = "";
  return {
    push: (bytes) => {
      let text = last + decoder.decode(bytes, { stream: true });
      if (text.includes("\r")) text = text.replace(/\r\n/g, "\n");
      const events: SseEvent[] = [];
      let from = 0;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n", from)) {
        const event = readEvent(pieces.join("") + text.slice(from, end));
        if (event !== undefined) events.push(event);
        from = end + 2;
        pieces = [];
        size = 0;
      }
      // A line's end may be the first half of what ends an event.
      const kept = /[\r\n]+$/.exec(text.slice(Math.max(from, text.length - 3)))?.[0] ?? "";
      const piece = text.slice(from, text.length - kept.length);
      last = kept;
      size += piece.length;
      if (size > MAX_EVENT_CHARS) throw new BadAnswer("an event of the stream is too long");
      if (piece !== "") pieces.push(piece);
      return events;
    },
  };
}

function readEvent(block: string): SseEvent | undefined {
  let event: string | undefined;
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
    else if (line.startsWith("event:")) event = line.slice(6).trim();
  }
  if (data.length === 0) return undefined;
  return event === undefined ? { data: data.join("\n") } : { event, data: data.join("\n") };
}

/** An event as it goes to the caller. */
export function sseText(event: string | undefined, data: unknown): string {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return event === undefined ? `data: ${text}\n\n` : `event: ${event}\ndata: ${text}\n\n`;
}

/** A comment: clients pass over it, proxies see that the connection lives. */
export function sseComment(text: string): string {
  return `: ${text}\n\n`;
}
