import { join, resolve } from "node:path";
import { openDatabase } from "./file.ts";
import { SturdyJournal } from "./sturdy.ts";

/**
 * Opens (or makes) the journal of an agent: FOLDER/NAME.sqlite. Throws where another process has it open: two agents on one
 * journal would each take the other's unfinished runs for crashed ones.
 */
export function openJournal(folder: string, name: string): SturdyJournal {
  const file = join(resolve(folder), `${name}.sqlite`);
  return new SturdyJournal(file, openDatabase(file));
}
