// node:util's parseArgs and no library: a real one comes with the tree of commands, until then the programs of bin/ and localstack/
// need no more than this.
import { type ParseArgsOptionsConfig, parseArgs, styleText } from "node:util";
import { CallerError, ConfigError, MigrationFault, Misconfigured, Unavailable } from "../errors.ts";

/** The command line is not as the usage says: the message tells what is wrong, the usage follows it, the exit code is 2. */
export class WrongUse extends Error {
  override name = "WrongUse";
}

/** What was asked for could not be done, and the message is all that whoever typed it needs: no stack, the exit code is 1. */
export class Failed extends Error {
  override name = "Failed";
}

/** Errors whose message is for the person at the terminal. */
const EXPECTED = [CallerError, ConfigError, Failed, MigrationFault, Misconfigured, Unavailable];

const HELP = { help: { type: "boolean", short: "h" } } as const;

/** The command line as node:util's parseArgs reads it. */
export type Given<O extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: O; allowPositionals: true }>
>;

/** A program of the command line. */
export type Command<O extends ParseArgsOptionsConfig> = {
  /** Printed for --help, and after what is wrong with the arguments. */
  usage: string;
  /** What it takes beside --help and -h, as node:util's parseArgs has it. */
  options?: O;
  /** Whether it takes words that are no options; `run` says which. */
  positionals?: boolean;
  /** Does the work and answers the exit code, 0 where it answers none. Throws WrongUse for arguments that do not go together. */
  run: (given: Given<O>) => Promise<number | void>;
};

/**
 * Runs a command with the words that follow its name and answers the exit code: 0 for --help, which prints the usage to stdout; 2 for
 * wrong use; 1 for an error that is expected, told on stderr by its message alone; else that of `run`. Any other error is thrown on,
 * so that it keeps its stack.
 */
export async function command<const O extends ParseArgsOptionsConfig = Record<never, never>>(
  spec: Command<O>,
  args: readonly string[] = process.argv.slice(2),
): Promise<number> {
  try {
    const { help, given } = read(spec, args);
    if (help) {
      process.stdout.write(`${spec.usage}\n`);
      return 0;
    }
    return (await spec.run(given)) ?? 0;
  } catch (error) {
    if (error instanceof WrongUse) {
      tell(`${inRed(error.message)}\n\n${spec.usage}`);
      return 2;
    }
    if (!EXPECTED.some((kind) => error instanceof kind)) throw error;
    tell(inRed((error as Error).message));
    return 1;
  }
}

/** What `readIt` makes of an argument; what it refuses with a CallerError or a ConfigError is wrong use. */
export function asArgument<T>(readIt: () => T): T {
  try {
    return readIt();
  } catch (cause) {
    if (cause instanceof CallerError || cause instanceof ConfigError) throw new WrongUse(cause.message, { cause });
    throw cause;
  }
}

/** A whole number of at least `least` that an option gives; throws WrongUse with the option's name where it is none. */
export function wholeOption(name: string, text: string, least: number): number {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least) return number;
  throw new WrongUse(`--${name} must be a whole number of at least ${least}, not ${JSON.stringify(text)}.`);
}

function read<O extends ParseArgsOptionsConfig>(
  spec: Command<O>,
  args: readonly string[],
): { help: boolean; given: Given<O> } {
  const { options = {} as O, positionals: allowPositionals = false } = spec;
  try {
    const given = parseArgs({ args: [...args], options: { ...options, ...HELP }, allowPositionals });
    // The types of parseArgs do not see through a generic spread.
    const { help = false } = given.values as { help?: boolean };
    return { help, given };
  } catch (cause) {
    const takesNothing = Object.keys(options).length === 0 && !allowPositionals;
    throw new WrongUse(takesNothing ? `It takes nothing, not ${args.join(" ")}.` : (cause as Error).message, { cause });
  }
}

function inRed(message: string): string {
  return styleText("red", message, { stream: process.stderr });
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}
