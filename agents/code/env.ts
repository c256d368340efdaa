import { realpathSync, statSync } from "node:fs";
import { delimiter } from "node:path";
import * as z from "zod";
import { integer, readEnv } from "../../lib/runtime/env.ts";

/** What this agent may touch. */
export type Rules = {
  /** The commands that may be run, by bare name. */
  commands: string[];
  /** The folders, by their real path, in and below which work may happen; the first is the default. */
  folders: string[];
  /** A command that writes more output is stopped. */
  outputBytes: number;
};

const DEFAULT_COMMANDS = "node,npm,git,ls,cat,wc,grep,find,echo,printf,seq,sleep,true,false";
const OutputEnv = z.object({ WAYBILL_CODE_OUTPUT_BYTES: integer(1, 1e12, 64 * 1024 * 1024) });

/** Reads WAYBILL_CODE_*. Throws where a folder does not exist or a number is none, naming the variable. */
export function readCodeEnv(source: NodeJS.ProcessEnv = process.env): Rules {
  const commands = (source["WAYBILL_CODE_COMMANDS"] || DEFAULT_COMMANDS).split(",").map((name) => name.trim());
  const wrong = commands.find((name) => !/^[A-Za-z0-9._+-]+$/.test(name));
  if (wrong !== undefined) {
    throw new Error(
      `WAYBILL_CODE_COMMANDS: "${wrong}" is not a bare command name. Write names with commas: node,git,ls`,
    );
  }
  const folders = (source["WAYBILL_CODE_FOLDERS"] || process.cwd()).split(delimiter).map(realFolder);
  const { WAYBILL_CODE_OUTPUT_BYTES: outputBytes } = readEnv(OutputEnv, source);
  return { commands, folders, outputBytes };
}

function realFolder(path: string): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path);
  } catch (cause) {
    throw new Error(`WAYBILL_CODE_FOLDERS: ${path} does not exist. Make it, or name another one.`, { cause });
  }
  throw new Error(`WAYBILL_CODE_FOLDERS: ${path} is not a folder. Name the folder that holds it.`);
}
