import { CommanderError, Option, Command as Program } from "commander";
import { CallerError, ConfigError } from "../lib/errors.ts";
import { Failed } from "../lib/terminal/command.ts";
import { audit } from "./audit.ts";
import type { Command, Flag, Given, Subject } from "./command.ts";
import { EXIT, exitOf, Refused } from "./exit.ts";
import { keys } from "./keys.ts";
import { members } from "./members.ts";
import { complain, print } from "./output.ts";
import { teams } from "./teams.ts";

/** Every subject of the command, in the order of its help. */
const SUBJECTS: readonly Subject[] = [keys, members, teams, audit];

const ENDS = `
Calls WAYBILL_URL, else the stack that npm start runs, with the key of WAYBILL_API_KEY, else that of the stack's data folder.
Ends with 0: done; 1: failed; 2: wrong use; 6: the key is not good, or may not; 7: a conflict, such as a name that is taken.`;

/** Runs the command with these words and answers its exit code. Errors that nobody expects are thrown. */
export async function main(words: readonly string[]): Promise<number> {
  try {
    await program().parseAsync([...words], { from: "user" });
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const exit = expected(error);
    if (exit === undefined) throw error;
    complain((error as Error).message);
    return exit;
  }
}

function expected(error: unknown): number | undefined {
  if (error instanceof Refused) return error.exit;
  if (error instanceof CallerError) return exitOf(error.status);
  return error instanceof Failed || error instanceof ConfigError ? EXIT.failed : undefined;
}

function program(): Program {
  const top = new Program("waybill")
    .description("Waybill at the command line.")
    .addHelpText("after", ENDS)
    .exitOverride()
    .showHelpAfterError("Add --help for its words and options.");
  for (const { name, says, commands } of SUBJECTS) {
    const subject = top.command(name).description(says);
    for (const command of commands) add(subject, command);
  }
  return top;
}

function add(subject: Program, { usage, says, flags = [], run }: Command): void {
  const command = subject.command(usage).description(says);
  for (const flag of flags) command.addOption(optionOf(flag));
  command.option("--json", "print what is answered as JSON");
  command.action(async () => {
    const { json, ...given } = command.opts<{ json?: true } & Given>();
    print(await run(command.args, given), json === true);
  });
}

function optionOf({ flags, says, of, default: fallback, required }: Flag): Option {
  const option = new Option(flags, says);
  if (of !== undefined) option.choices(of);
  if (fallback !== undefined) option.default(fallback);
  if (required === true) option.makeOptionMandatory();
  return option;
}
