/** One server-sent event: its data, which is JSON in both dialects, and its name where it has one. */
export type SseEvent = { event?: string; data: string };

/** An event longer than this is no token of anybody. */
const MAX_EVENT_CHARS = 8_000_000;

/** Cuts bytes into events. What follows the last blank line when the bytes end is incomplete and given as `rest`. */
export function sseReader(): { push: (bytes: Uint8Array) => SseEvent[]; rest: () => string } {
  const decoder = new TextDecoder();
  let buffer = "";
  return {
    push: (bytes) => {
      buffer += decoder.decode(bytes, { stream: true });
      if (buffer.includes("\r")) buffer = buffer.replace(/\r\n/g, "\n");
      const events: SseEvent[] = [];
      for (;;) {
        const end = buffer.indexOf("\n\n");
        if (end < 0) break;
        const event = readEvent(buffer.slice(0, end));
        buffer = buffer.slice(end + 2);
        if (event !== undefined) events.push(event);
      }
      if (buffer.length > MAX_EVENT_CHARS) throw new Error("an event of the stream is too long");
      return events;
    },
    rest: () => buffer,
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
