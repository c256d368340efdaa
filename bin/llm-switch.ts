// npm run llm:switch -- off|on [REASON]: stops, or allows again, every call to an external vendor, within a second. Without an
// argument: which of the two it is, since when and why.
import { findSwitch, setSwitch } from "../lib/llm/accounts/queries.ts";
import { onDatabase } from "./database.ts";

const CALLS = "Calls to external vendors are";
const USAGE = "Set it with: npm run llm:switch -- off|on [REASON]";

const [position, ...reason] = process.argv.slice(2);
if (position === undefined || position === "on" || position === "off") {
  process.exitCode = await onDatabase(async (db) => {
    if (position !== undefined) await setSwitch(db, position === "on", reason.join(" ") || null);
    console.log(position === undefined ? `${describe(await findSwitch(db))}\n${USAGE}` : `${CALLS} ${position}.`);
  });
} else {
  console.error(`${position} is not a position of the switch. ${USAGE}`);
  process.exitCode = 2;
}

function describe(found: Awaited<ReturnType<typeof findSwitch>>): string {
  if (found === undefined) return `${CALLS} on: nobody has set the switch yet.`;
  const { external, changedAt, reason: why } = found;
  return `${CALLS} ${external ? "on" : "off"} since ${changedAt.toISOString()}${why === null ? "." : `: ${why}`}`;
}
