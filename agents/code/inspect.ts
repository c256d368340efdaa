import { open, readdir } from "node:fs/promises";
import { extname, join, relative } from "node:path";
import * as z from "zod";
import { defineWork, type Outcome, type Work } from "../../lib/agent-kit/define-work.ts";
import type { Rules } from "./env.ts";
import { languageOf } from "./languages.ts";
import { resolveFolder } from "./rules.ts";

const CodeInspect = z.strictObject({
  folder: z.string().min(1).optional().describe("inside an allowed folder; relative to the first of them"),
});

const MAX_FILES = 50_000;
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_NOTES = 1000;
const SKIPPED = new Set([".git", "node_modules"]);
const NOTE = /\b(?:TODO|FIXME)\b.*/;

/** code.inspect: files and lines by language, and every TODO and FIXME, of one folder. Follows no symbolic link. */
export function codeInspect(rules: Rules): Work {
  return defineWork(CodeInspect, async ({ folder }, { signal, step, progress }): Promise<Outcome> => {
    const root = resolveFolder(folder, rules);
    const files = await step("list files", async ({ write, summary }) => {
      const found = await listFiles(root, signal);
      write(`${found.length} files\n`);
      summary(`${found.length} files${found.length === MAX_FILES ? " (there are more; these were looked at)" : ""}`);
      return found;
    });
    const totals = new Map<string, { files: number; lines: number }>();
    const notes: string[] = [];
    await step("count lines by language", async ({ write, summary }) => {
      for (const [index, file] of files.entries()) {
        signal.throwIfAborted();
        if (index % 500 === 499) progress(index / files.length);
        const language = languageOf(extname(file), file);
        const lines = language === undefined ? undefined : await readLines(file);
        if (language === undefined || lines === undefined) continue;
        const total = totals.get(language) ?? { files: 0, lines: 0 };
        totals.set(language, { files: total.files + 1, lines: total.lines + lines.length });
        collectNotes(lines, relative(root, file), notes);
      }
      const rows = [...totals].toSorted(([, a], [, b]) => b.lines - a.lines);
      for (const [language, { files: count, lines }] of rows) write(`${language}: ${count} files, ${lines} lines\n`);
      summary(rows.map(([language, { lines }]) => `${language} ${lines}`).join(", ") || "no source files");
    });
    await step("find TODO and FIXME", ({ write, summary }) => {
      for (const note of notes) write(`${note}\n`);
      summary(`${notes.length}${notes.length === MAX_NOTES ? " or more" : ""} found`);
    });
    return { metrics: { files: files.length, notes: notes.length, languages: Object.fromEntries(totals) } };
  });
}

async function listFiles(root: string, signal: AbortSignal): Promise<string[]> {
  const files: string[] = [];
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal.throwIfAborted();
    // A folder that may not be read, or has just gone, is not worth failing for.
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) folders.push(join(folder, entry.name));
      else if (entry.isFile()) files.push(join(folder, entry.name));
      if (files.length === MAX_FILES) return files;
    }
  }
  return files;
}

/** The lines of a text file; undefined where it is too large, binary or unreadable. */
async function readLines(file: string): Promise<string[] | undefined> {
  try {
    await using handle = await open(file, "r");
    const { size } = await handle.stat();
    if (size > MAX_FILE_BYTES) return undefined;
    const bytes = await handle.readFile();
    if (bytes.includes(0)) return undefined;
    const lines = bytes.toString().split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lines;
  } catch {
    return undefined;
  }
}

function collectNotes(lines: string[], file: string, notes: string[]): void {
  for (const [index, line] of lines.entries()) {
    if (notes.length === MAX_NOTES) return;
    const note = NOTE.exec(line)?.[0];
    if (note !== undefined) notes.push(`${file}:${index + 1}: ${note.trim().slice(0, 200)}`);
  }
}
