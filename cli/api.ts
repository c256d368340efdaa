import { findStack } from "../bin/database.ts";
import { readSettings } from "../lib/runtime/settings.ts";
import { type Found, findKeyFor } from "../localstack/parts/keys.ts";
import { EXIT, exitOf, Refused } from "./exit.ts";
import { cliSettings } from "./settings.ts";

type Problem = { detail?: string; errors?: { field: string; message: string }[] };

/** Where the HTTP API is, and with what it is called. */
type Access = Found & { url: string };

const PATIENCE_MS = 35_000;

/**
 * The API of WAYBILL_URL, else of the stack that runs here, and the key for it. Throws Refused, with what to do, where there is no key.
 */
export function access(): Access {
  const { url: named } = readSettings(cliSettings);
  const { folder, stack } = findStack();
  const url = (named ?? stack?.url ?? "http://127.0.0.1:3000").replace(/\/+$/, "");
  const found = findKeyFor(url, folder);
  if (found !== undefined) return { url, ...found };
  throw new Refused(`There is no key for ${url}. Set WAYBILL_API_KEY, or start a stack here: npm start`, EXIT.auth);
}

/** Calls the API and answers its JSON; undefined where it has none. Throws Refused, in the API's own words, where it refuses or is away. */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const { url, key } = access();
  const json = body === undefined ? {} : { "content-type": "application/json" };
  const init = {
    method,
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
  };
  const answer = await fetch(url + path, { ...init, headers: { ...json, authorization: `Bearer ${key}` } }).catch(
    (cause: unknown) => {
      throw new Refused(`${url} does not answer. Start a stack (npm start), or set WAYBILL_URL.`, EXIT.failed, {
        cause,
      });
    },
  );
  const text = await answer.text();
  if (!answer.ok) throw new Refused(inWords(`${method} ${path}`, answer.status, text), exitOf(answer.status));
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** All entries of a list that is answered in pages. */
export async function all<T>(path: string, filters: Record<string, string> = {}, limit = "100"): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | null = null;
  do {
    const query: URLSearchParams = new URLSearchParams({
      ...filters,
      limit,
      ...(cursor === null ? {} : { cursor }),
    });
    const page: { items: T[]; next_cursor: string | null } = await call("GET", `${path}?${query}`);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}

function inWords(what: string, status: number, text: string): string {
  let problem: Problem = {};
  try {
    problem = JSON.parse(text) as Problem;
  } catch {
    // What stands between answers in words of its own.
  }
  const { detail = `${what} was answered with ${status}: ${text.slice(0, 200)}`, errors = [] } = problem;
  return [detail, ...errors.map(({ field, message }) => `  ${field} ${message}`)].join("\n");
}
