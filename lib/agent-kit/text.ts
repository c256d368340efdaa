/** The text with what Postgres cannot store made visible: NUL as ␀, half a surrogate pair as �. */
export function storable(text: string): string {
  return text.replaceAll("\u0000", "␀").toWellFormed();
}

/** At most `max` UTF-16 units of the storable text, never half of a surrogate pair; what was cut is shown by …. */
export function clip(text: string, max: number): string {
  // Only as much is looked at as can be kept: the text may be a whole file.
  const whole = storable(text.slice(0, max + 1));
  if (whole.length <= max) return whole;
  const end = isHighSurrogate(whole.charCodeAt(max - 2)) ? max - 2 : max - 1;
  return `${whole.slice(0, end)}…`;
}

/** The end of the text, at most `max` UTF-16 units, never half of a surrogate pair; what was cut is shown by …. */
export function clipStart(text: string, max: number): string {
  if (text.length <= max) return storable(text);
  const start = text.length - max + 1;
  return `…${storable(text.slice(isLowSurrogate(text.charCodeAt(start)) ? start + 1 : start))}`;
}

/** What an error says, whatever was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return typeof error === "string" ? error : `thrown: ${JSON.stringify(error) ?? String(error)}`;
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
