import { realpathSync, statSync } from "node:fs";
import { delimiter } from "node:path";
import * as z from "zod";
import { whole } from "../../lib/input/whole.ts";
import { readSettings, setting } from "../../lib/runtime/settings.ts";

/** What this agent may touch. */
export type Rules = {
  /** The commands that may be run, by bare name. */
  commands: string[];
  /** The folders, by their real path, in and below which work may happen; the first is the default. */
  folders: string[];
  /** A command that writes more output is stopped. */
  outputBytes: number;
};

/** The variables that the agent `code` reads. */
export const codeAgentSettings = {
  commands: setting({
    env: "WAYBILL_CODE_COMMANDS",
    says: "Agent `code`: the commands it may run, by bare name.",
    takes: z.string(),
    default: "node,npm,git,ls,cat,wc,grep,find,echo,printf,seq,sleep,true,false",
  }),
  folders: setting({
    env: "WAYBILL_CODE_FOLDERS",
    says: "Agent `code`: the folders it may work in, a list joined by colons; the first is the one where work that names none is done. Where it is not set: the folder in which the agent was started.",
    takes: z.string(),
    optional: true,
    example: "/srv/one:/srv/two",
  }),
  outputBytes: setting({
    env: "WAYBILL_CODE_OUTPUT_BYTES",
    says: "Agent `code`: a command that writes more than this is stopped.",
    unit: "bytes",
    takes: whole(1, 1e12),
    default: "67108864",
  }),
};

/** Reads WAYBILL_CODE_*. Throws where a folder does not exist or a number is none, naming the variable. */
export function readCodeEnv(source?: NodeJS.ProcessEnv): Rules {
  const { commands, folders = process.cwd(), outputBytes } = readSettings(codeAgentSettings, source);
  return {
    commands: commands.split(",").map(bareName),
    folders: folders.split(delimiter).map(realFolder),
    outputBytes,
  };
}

function bareName(given: string): string {
  const name = given.trim();
  if (/^[A-Za-z0-9._+-]+$/.test(name)) return name;
  throw new Error(`WAYBILL_CODE_COMMANDS: "${name}" is not a bare command name. Write names with commas: node,git,ls`);
}

function realFolder(path: string): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path);
  } catch (cause) {
    throw new Error(`WAYBILL_CODE_FOLDERS: ${path} does not exist. Make it, or name another one.`, { cause });
  }
  throw new Error(`WAYBILL_CODE_FOLDERS: ${path} is not a folder. Name the folder that holds it.`);
}
