import { join, resolve } from "node:path";
import { openDatabase, unusable } from "./file.ts";
import { SturdyJournal } from "./sturdy.ts";

/**
 * Opens (or makes) the journal of an agent: FOLDER/NAME.sqlite. Throws where it is no journal, or another process has it open: two
 * agents on one journal would each take the other's unfinished runs for crashed ones.
 */
export function openJournal(folder: string, name: string): SturdyJournal {
  const file = join(resolve(folder), `${name}.sqlite`);
  const db = openDatabase(file);
  try {
    return new SturdyJournal(file, db);
  } catch (cause) {
    db.close();
    throw unusable(file, cause);
  }
}
