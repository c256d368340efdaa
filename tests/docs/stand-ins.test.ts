import { expect, test } from "vitest";
import { commandsOf, said } from "./shell.ts";
import { runFor, STAND_INS } from "./stand-ins.ts";

test("every command is run as it stands, or has a stand-in that says why: else add it to stand-ins.ts", () => {
  const unknown = said.filter(({ command }) => runFor(command) === undefined);

  expect(said.length).toBeGreaterThan(60);
  expect(unknown.map(({ page, line, command }) => `${page}:${line} ${command}`)).toEqual([]);
});

test("no stand-in is left for a command that is gone", () => {
  const unused = STAND_INS.filter(({ command }) => !said.some((one) => command.test(one.command)));

  expect(unused.map(({ command }) => String(command))).toEqual([]);
});

test.for([
  ["one line each", "a b\nc\n", ["a b", "c"]],
  ["no comments, and signs in words are none", "a  # it's\n# b\nc#d '#e'", ["a", "c#d '#e'"]],
  ["over lines in quotes", "a -d '{\n  1}'\nb", ["a -d '{\n  1}'", "b"]],
  ["over lines in a substitution", "A=$(b |\n  c)\nd", ["A=$(b |\n  c)", "d"]],
  ["over a backslash and a pipe", "a \\\n  b |\n  c\nd", ["a \\\n  b |\n  c", "d"]],
] as const)("a block is read as its commands: %s", ([, block, commands]) => {
  expect(commandsOf(block)).toEqual(commands);
});

test("a quote that stays open is a fault of the page", () => {
  expect(() => commandsOf("echo 'a\n")).toThrow("a command does not end: echo 'a");
});
