import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CallerError, ConfigError, MigrationFault, Unavailable } from "../../lib/errors.ts";
import { asArgument, type Command, command, Failed, WrongUse, wholeOption } from "../../lib/terminal/command.ts";

let out = "";
let err = "";
beforeEach(() => {
  [out, err] = ["", ""];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
});

const options = { times: { type: "string", default: "1" }, loud: { type: "boolean" } } as const;
const usage = "Usage: npm run say -- [--times N] [--loud] WORD";

/** Runs a command with these arguments; what was printed is in `out` and `err`. */
async function say(args: string[], run: Command<typeof options>["run"] = async () => {}) {
  return await command({ usage, options, positionals: true, run }, args);
}

test("what was given comes typed and whole, and a command that answers nothing ends with 0", async () => {
  const given: unknown[] = [];

  const code = await say(["--loud", "hello", "--times=3"], async ({ values, positionals }) => {
    given.push(values.times.length, values.loud, values, positionals);
  });

  expect([code, out, err]).toEqual([0, "", ""]);
  expect(given).toEqual([1, true, { loud: true, times: "3" }, ["hello"]]);
});

test("a command answers its own exit code", async () => {
  expect(await say([], async () => 7)).toBe(7);
});

test.each([["--help"], ["-h"]])("%s prints the usage to stdout, ends with 0, and nothing runs", async (flag) => {
  const run = vi.fn<() => Promise<void>>(async () => {});

  expect(await say(["hello", flag], run)).toBe(0);
  expect([out, err]).toEqual([`${usage}\n`, ""]);
  expect(run).not.toHaveBeenCalled();
});

test.each([
  [["--quiet"], "Unknown option '--quiet'"],
  [["--times"], "Option '--times <value>' argument missing"],
  [["--loud=yes"], "Option '--loud' does not take an argument"],
])("%j is wrong use: what is wrong and the usage on stderr, ends with 2", async (args, message) => {
  expect(await say(args)).toBe(2);
  expect(out).toBe("");
  expect(err).toContain(message);
  expect(err.endsWith(`\n\n${usage}\n`)).toBe(true);
});

test("a command may call its arguments wrong itself", async () => {
  const run = async () => {
    throw new WrongUse("Say one word.");
  };

  expect([await say([], run), err]).toEqual([2, `Say one word.\n\n${usage}\n`]);
});

test("a command without options and words says that it takes nothing", async () => {
  const run = async () => {};

  expect(await command({ usage, run }, ["--force", "now"])).toBe(2);
  expect(err).toBe(`It takes nothing, not --force now.\n\n${usage}\n`);
  expect(await command({ usage, run }, [])).toBe(0);
});

test.each([
  new CallerError(404, "unknown_task", "There is no such work."),
  new ConfigError("DATABASE_URL is wrong."),
  new Unavailable("It does not answer."),
  new MigrationFault(["One fault.", "Another."]),
  new Failed("package failed."),
])("%s is told by its message alone, ends with 1", async (error) => {
  expect(
    await say([], async () => {
      throw error;
    }),
  ).toBe(1);
  expect([out, err]).toEqual(["", `${error.message}\n`]);
});

test("any other error keeps its stack", async () => {
  const fault = new TypeError("x is not a function");

  await expect(say([], () => Promise.reject(fault))).rejects.toBe(fault);
  expect(err).toBe("");
});

test("what a reader of arguments refuses is wrong use; a fault of the reader stays one", () => {
  const refuse = (error: Error) => () =>
    asArgument(() => {
      throw error;
    });

  expect(asArgument(() => 5)).toBe(5);
  expect(refuse(new CallerError(400, "invalid_input", "step: is too small"))).toThrow(WrongUse);
  expect(refuse(new ConfigError("carries a password"))).toThrow(WrongUse);
  expect(refuse(new TypeError("x"))).toThrow(TypeError);
});

test.each(["", "0", "-1", "1.5", "1e3", " 2", "many"])("--times %j is no whole number of at least 1", (text) => {
  expect(() => wholeOption("times", text, 1)).toThrow("--times must be a whole number of at least 1");
});

test("a whole number of an option is read", () => {
  expect(wholeOption("times", "10", 1)).toBe(10);
});
