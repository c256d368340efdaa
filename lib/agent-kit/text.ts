import { inspect } from "node:util";

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

/** What an error says, whatever was thrown: a cycle, a bigint, an error whose message is none. Always a text; never throws. */
export function messageOf(error: unknown): string {
  if (typeof error === "string") return error;
  try {
    if (error instanceof Error) {
      const { message, name } = error;
      return typeof message === "string" ? textOf(message || name || "Error") : `${textOf(name)}: ${shown(message)}`;
    }
    const json = JSON.stringify(error);
    if (json !== undefined) return `thrown: ${json}`;
  } catch {
    // A proxy, a getter or a toJSON of the author's, or nothing that JSON has.
  }
  return `thrown: ${shown(error)}`;
}

/** The text as it is; anything else as a person at a terminal would see it. Never throws. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : shown(value);
}

function shown(value: unknown): string {
  try {
    return inspect(value, { customInspect: false, breakLength: Number.POSITIVE_INFINITY });
  } catch {
    return `a value of type ${typeof value} that cannot be shown`;
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
