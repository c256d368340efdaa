import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join, parse, relative, resolve, sep } from "node:path";
import { refused } from "../../lib/agent-kit/define-work.ts";
import type { Rules } from "./env.ts";

/** Commands whose arguments are text and never files. */
const TEXT_ONLY = new Set(["echo", "printf", "seq", "sleep", "true", "false"]);
/** What turns find into a way to run or write anything. */
const FIND_REFUSED = new Set(["-exec", "-execdir", "-ok", "-okdir", "-fprint", "-fprint0", "-fprintf", "-fls"]);

/** The file that a listed command stands for. Throws the refusal where it is not listed, or not there. */
export function resolveCommand(command: string, rules: Rules): string {
  if (!rules.commands.includes(command)) {
    const list = rules.commands.join(", ");
    throw refused(
      `the command ${quote(command)} is not on the list (${list}). WAYBILL_CODE_COMMANDS changes the list.`,
    );
  }
  for (const folder of searchPath().split(delimiter).filter(isAbsolute)) {
    const file = join(folder, command);
    if (isExecutable(file)) return file;
  }
  throw refused(`the command ${quote(command)} is on the list, but no folder of the agent's PATH has it. Install it.`);
}

/** Where commands are looked for: `node` is the one that runs this agent, whatever else the machine has. */
export function searchPath(): string {
  return [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
}

/** The real path of a folder inside an allowed one. Throws the refusal where it is outside, a way out, or not there. */
export function resolveFolder(folder: string | undefined, rules: Rules): string {
  const base = rules.folders[0] ?? "/";
  const real = realPath(resolve(base, folder ?? "."));
  if (real === undefined) throw refused(`the folder ${quote(folder ?? ".")} does not exist.`);
  if (!isInside(real, rules)) {
    throw refused(
      `the folder ${quote(folder ?? ".")} is not inside ${rules.folders.join(" or ")}. WAYBILL_CODE_FOLDERS changes that.`,
    );
  }
  if (!statSync(real).isDirectory()) throw refused(`${quote(folder ?? ".")} is not a folder.`);
  return real;
}

/**
 * Throws the refusal where an argument names a file or folder outside the allowed ones. It stops mistakes and the plain ways
 * out; a command that runs programs of its own (node, npm, git) can do whatever this process may: see docs/agents.md.
 */
export function checkArguments(command: string, args: string[], cwd: string, rules: Rules): void {
  if (TEXT_ONLY.has(command)) return;
  for (const arg of args) {
    if (command === "find" && FIND_REFUSED.has(arg)) throw refused(`find ${arg} is not allowed.`);
    for (const path of pathsIn(arg)) {
      if (leadsOut(resolve(cwd, path), rules)) {
        throw refused(
          `the argument ${quote(arg)} leads outside ${rules.folders.join(" or ")}. WAYBILL_CODE_FOLDERS changes that.`,
        );
      }
    }
  }
}

/** Whether a real path is an allowed folder or below one. */
export function isInside(real: string, rules: Rules): boolean {
  return rules.folders.some((folder) => {
    const way = relative(folder, real);
    return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
  });
}

/** An argument can be a path, --option=path, or -Opath. */
function pathsIn(arg: string): string[] {
  const value = arg.indexOf("=");
  const short = /^-[A-Za-z](.+)$/s.exec(arg)?.[1];
  return [arg, ...(value < 0 ? [] : [arg.slice(value + 1)]), ...(short === undefined ? [] : [short])];
}

/** Outside, and either there already or about to be made there. A pattern such as /api/v1 is neither. */
function leadsOut(path: string, rules: Rules): boolean {
  const real = realPath(path);
  if (real !== undefined) return !isInside(real, rules);
  const parent = realPath(dirname(path));
  return parent !== undefined && parent !== parse(parent).root && !isInside(parent, rules);
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
