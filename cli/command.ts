import type { Told } from "./output.ts";

/** An option, as commander has it: `--role <role>`. */
export type Flag = {
  flags: string;
  says: string;
  /** The only values that it takes. */
  of?: readonly string[];
  default?: string;
  /** Whether it must be given. */
  required?: true;
};

/** The options of a call by their names, in camel case; those that were not given are not there. */
export type Given = Readonly<Record<string, string | undefined>>;

/** One command of a subject. Beside its own options it takes --json. */
export type Command = {
  /** Its word and its arguments, as commander has them: `create <name>`. */
  usage: string;
  says: string;
  flags?: readonly Flag[];
  /** Does it, and answers what is told. Throws Refused where it cannot. */
  run: (words: readonly string[], given: Given) => Promise<Told>;
};

/** What the first word names. */
export type Subject = { name: string; says: string; commands: readonly Command[] };
