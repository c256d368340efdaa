import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openJournal, readJournal } from "../../chaos/history/journal.ts";

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-journal-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, "journal.jsonl");
}

test("a journal has what was noted, by whoever, in order", () => {
  const path = file();
  const [one, other] = [openJournal<number>(path), openJournal<number>(path)];
  for (let at = 0; at < 6; at++) (at % 2 === 0 ? one : other).note(at);
  expect(readJournal(path)).toEqual([0, 1, 2, 3, 4, 5]);
});

test("a journal that nobody wrote is empty", () => {
  expect(readJournal(file())).toEqual([]);
});

test("a last line that was cut off is left out, one in the middle is an error", () => {
  const path = file();
  openJournal(path).note({ at: 1 });
  appendFileSync(path, '{"at": ');
  expect(readJournal(path)).toEqual([{ at: 1 }]);
  writeFileSync(path, '{"at": \n{"at":2}\n');
  expect(() => readJournal(path)).toThrow(SyntaxError);
});
