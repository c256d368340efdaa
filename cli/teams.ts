import { findTarget, onDatabase } from "../bin/database.ts";
import { system } from "../lib/access/actor.ts";
import { foundTeam, listTeams } from "../lib/access/operator/teams.ts";
import { uuidv7 } from "../lib/runtime/ids.ts";
import type { Subject } from "./command.ts";
import { asTable } from "./output.ts";

/** Whoever reaches the database, in the log of what was done. */
const OPERATOR = system("waybill teams");

/** No call of the API makes a team: who runs Waybill does, on its database. */
export const teams: Subject = {
  name: "teams",
  says: "teams, on the database of DATABASE_URL, else of the stack that runs here",
  commands: [
    {
      usage: "create <name>",
      says: "make a team with its first owner, and print that one's key, once",
      flags: [{ flags: "--owner <user>", says: "who owns it, such as an e-mail address", required: true }],
      run: async ([name = ""], { owner = "" }) => {
        const made = await onDatabase(
          async ({ db }) =>
            await db.begin(async (tx) => await foundTeam(tx, OPERATOR, { name, owner, keyId: uuidv7() })),
          findTarget(),
        );
        const note = `The key of ${made.owner}, owner of ${made.name}. It is not shown again.`;
        return { data: made, text: made.key, note };
      },
    },
    {
      usage: "list",
      says: "every team",
      run: async () => {
        const found = await onDatabase(async ({ db }) => await listTeams(db, OPERATOR), findTarget());
        const rows = found.map(({ created_at, ...team }) => ({ ...team, created_at: created_at.toISOString() }));
        return { data: rows, ...asTable(rows, "There is no team.") };
      },
    },
  ],
};
