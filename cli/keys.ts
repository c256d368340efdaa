import { ROLES } from "../lib/access/actor.ts";
import { prefixOf } from "../lib/protocol/api-key.ts";
import { near, writeKey } from "../localstack/parts/keys.ts";
import { access, all, call } from "./api.ts";
import type { Subject } from "./command.ts";
import { EXIT, Refused } from "./exit.ts";
import { asTable, type Told } from "./output.ts";

/** A key as the API tells it, as far as it is looked at. */
type Key = {
  key_id: string;
  name: string;
  prefix: string;
  kind: string;
  user: string | null;
  agent: string | null;
  role: string | null;
  scopes: string[] | null;
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
};
type MadeKey = Key & { key: string };

const LIVE = { revoked: "false" };
const WHICH = "by its name, its prefix (wb_…) or its id";

export const keys: Subject = {
  name: "keys",
  says: "keys for the API",
  commands: [
    {
      usage: "create <name>",
      says: "make a key and print it, once: your own, unless an option says whose",
      flags: [
        { flags: "--role <role>", says: "the most that it may; member where it is not given", of: ROLES },
        { flags: "--scopes <list>", says: "what of that, with commas between them, such as work:read,llm:use" },
        { flags: "--user <name>", says: "another person's, who is in the team" },
        { flags: "--service", says: "a program's, of nobody in person" },
        { flags: "--agent <name>", says: "an agent's, to be there and to call models" },
        { flags: "--expires <when>", says: "until when it is good, such as 90d, 12h or 2027-01-31T00:00:00Z" },
        { flags: "--requests-per-second <n>", says: "how often it may call" },
        { flags: "--bytes-per-day <n>", says: "how much it may send in a day" },
      ],
      run: async ([name = ""], given) => {
        const { role, user, agent, scopes, expires } = given;
        const kind = agent !== undefined ? "agent" : given["service"] === undefined ? "user" : "service";
        const wish = {
          name,
          kind,
          role,
          user,
          agent,
          scopes: scopes?.split(",").map((scope) => scope.trim()),
          expires_at: expires === undefined ? undefined : timeOf(expires),
          requests_per_second: numberOf(given["requestsPerSecond"]),
          bytes_per_day: numberOf(given["bytesPerDay"]),
        };
        return shown(await call<MadeKey>("POST", "/keys", wish));
      },
    },
    {
      usage: "list",
      says: "the team's keys, latest first, without their secrets",
      flags: [{ flags: "--revoked", says: "also those that are revoked" }],
      run: async (_words, given) => {
        const found = await all<Key>("/keys", given["revoked"] === undefined ? LIVE : {});
        return { data: found, ...asTable(found.map(rowOf), "There is no key.") };
      },
    },
    {
      usage: "revoke <key>",
      says: `revoke a key for good, ${WHICH}`,
      run: async ([word = ""]) => {
        const { key_id } = await find(word);
        const key = await call<Key>("DELETE", `/keys/${key_id}`);
        return {
          data: key,
          text: "",
          note: `${key.name} (${key.prefix}) is revoked. What caches it takes it a little longer.`,
        };
      },
    },
    {
      usage: "rotate <key>",
      says: `give a key another secret and print it, once, ${WHICH}`,
      flags: [{ flags: "--grace <time>", says: "how long the old one stays good, 7d at most", default: "1h" }],
      run: async ([word = ""], { grace = "1h" }) => {
        const { key_id } = await find(word);
        const made = await call<MadeKey>("POST", `/keys/${key_id}/rotate`, { grace_seconds: secondsOf(grace) });
        return withFile(made);
      },
    },
  ],
};

/** The one live key that a word names. */
async function find(word: string): Promise<Key> {
  const prefix = prefixOf(word);
  if (prefix !== undefined)
    throw new Refused(
      `Name the key by what it begins with, ${prefix}: commands are kept and seen by others.`,
      EXIT.usage,
    );
  const live = await all<Key>("/keys", LIVE);
  // Whoever makes keys chooses their names, and may have chosen what another one is known by.
  const exact = live.find((key) => key.key_id === word || key.prefix === word);
  const [found, ...others] = exact === undefined ? live.filter(({ name }) => name === word) : [exact];
  if (found !== undefined && others.length === 0) return found;
  if (found !== undefined) {
    const known = [found, ...others].map(({ prefix: begin, key_id }) => `${begin} (${key_id})`);
    throw new Refused(`${word} names ${known.length} keys. Say which: ${known.join(", ")}`, EXIT.usage);
  }
  throw new Refused(`The team has no key ${word}, or it is revoked. See: waybill keys list --revoked`);
}

function shown(made: MadeKey): Told {
  const { key, name, user, agent, role } = made;
  const whose = agent !== null ? `of the agent ${agent}` : `of ${user ?? "a service"}, ${role ?? ""}`;
  return { data: made, text: key, note: `The key ${name}, ${whose}. It is not shown again.` };
}

/** The key by which the stack of this machine is called goes on being right. */
function withFile(made: MadeKey): Told {
  const { key, file } = access();
  if (file === undefined || prefixOf(key) !== made.prefix) return shown(made);
  writeKey(file, made.key);
  return { ...shown(made), note: `${shown(made).note} ${near(file)} has it from now on.` };
}

function rowOf({ name, prefix, kind, user, agent, role, scopes, expires_at, last_used_at, revoked_at }: Key) {
  return { name, prefix, kind, of: user ?? agent, role, scopes, expires_at, last_used_at, revoked_at };
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** The seconds of a text such as 30s, 5m, 12h or 7d. */
function secondsOf(text: string): number {
  const [, count = "", unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNITS[unit] ?? Number.NaN);
  if (Number.isNaN(seconds)) throw new Refused(`${text} is no time. Give one such as 30s, 5m, 12h or 7d.`, EXIT.usage);
  return seconds;
}

/** A time to come as the API takes it, of a text that says how long it is until then, or when that is. */
function timeOf(text: string): string {
  const at = /^\d+[smhd]$/.test(text) ? Date.now() + secondsOf(text) * 1000 : Date.parse(text);
  if (Number.isNaN(at))
    throw new Refused(`${text} is no time. Give one such as 90d or 2027-01-31T00:00:00Z.`, EXIT.usage);
  return new Date(at).toISOString();
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new Refused(`${text} is no number above 0.`, EXIT.usage);
}
