// Own, though lossless-json can refuse such names: it takes two with equal values, says no path, and parses everything in JavaScript.
// Here JSON.parse does, and only a text that has one twice is looked through again.

const QUOTE = 34;
const COLON = 58;
const BACKSLASH = 92;

/**
 * The path of the first name that an object in a JSON text has twice, undefined where each is there once. `value` is what the text
 * was parsed to, which has fewer names then.
 */
export function nameGivenTwice(text: string, value: unknown): (string | number)[] | undefined {
  return namesWritten(text) === namesKept(value) ? undefined : find(text);
}

/** One colon a name: all that are not inside of a string. */
function namesWritten(text: string): number {
  let names = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) inString = !inString;
    else if (inString && c === BACKSLASH) i++;
    else if (!inString && c === COLON) names++;
  }
  return names;
}

function namesKept(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let names = Array.isArray(value) ? 0 : Object.keys(value).length;
  for (const inner of Array.isArray(value) ? value : Object.values(value)) names += namesKept(inner);
  return names;
}

/** A string whole, or a sign; numbers and words are passed over. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g;

/** `names`: those that came so far, of an object; `at`: the name or the index that is being read. */
type Open = { names: Set<string> | undefined; at: string | number };

function find(text: string): (string | number)[] | undefined {
  const open: Open[] = [];
  let string = "";
  for (const [token] of text.matchAll(TOKEN)) {
    const inside = open.at(-1);
    if (token === "{") open.push({ names: new Set(), at: "" });
    else if (token === "[") open.push({ names: undefined, at: 0 });
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":" && inside?.names !== undefined) {
      inside.at = JSON.parse(string) as string;
      if (inside.names.has(inside.at)) return open.map(({ at }) => at);
      inside.names.add(inside.at);
    } else if (token === "," && typeof inside?.at === "number") inside.at++;
    else string = token;
  }
  return undefined;
}
