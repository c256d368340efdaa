import { blocksOf, PAGES } from "./pages.ts";

/** A command of a page, and the line of the block that it is in. */
export type Said = { page: string; line: number; command: string };

/** Every shell command of every page, in the order of the pages. */
export const said: readonly Said[] = PAGES.flatMap((page) =>
  blocksOf(page)
    .filter(({ language }) => language === "sh")
    .flatMap(({ text, line }) => commandsOf(text).map((command) => ({ page, line, command }))),
);

/**
 * The commands of a shell block, one each, in their order, without comments. A command goes on over a line's end within quotes
 * and parentheses, and after a backslash or a pipe.
 */
export function commandsOf(block: string): string[] {
  const commands: string[] = [];
  let command = "";
  let quote = "";
  let depth = 0;
  for (const line of block.split("\n")) {
    let end = line.length;
    for (let at = 0; at < line.length && end === line.length; at++) {
      const sign = line[at] ?? "";
      if (quote === "" && sign === "#" && /(^|\s)$/.test(line.slice(0, at))) end = at;
      else if (quote === "" && (sign === "'" || sign === '"')) quote = sign;
      else if (sign === quote) quote = "";
      else if (quote !== "'" && sign === "(") depth++;
      else if (quote !== "'" && sign === ")") depth--;
    }
    command += line.slice(0, end);
    if (quote !== "" || depth > 0 || /[\\|]\s*$/.test(command)) {
      command += "\n";
      continue;
    }
    if (command.trim() !== "") commands.push(command.trim());
    command = "";
  }
  if (command.trim() !== "") throw new Error(`a command does not end: ${command}`);
  return commands;
}
