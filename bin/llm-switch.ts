// npm run llm:switch -- off|on [REASON]: stops, or allows again, every call to an external vendor, within a second. Without an
// argument: which of the two it is, since when and why.
import { system } from "../lib/access/actor.ts";
import { findSwitch, setSwitch } from "../lib/llm/accounts/queries.ts";
import { command, WrongUse } from "../lib/terminal/command.ts";
import { announce, findTarget, onDatabase, STACK_USAGE, stackOption } from "./database.ts";

const CALLS = "Calls to external vendors are";
const SET = "Set it with: npm run llm:switch -- off|on [REASON]";
const usage = `Usage: npm run llm:switch -- [--data DIR] [off|on] [REASON]

Stops every call to an external vendor within a second, or allows them again. Without a position: which it is, since when and why.
${STACK_USAGE}`;

process.exitCode = await command({
  usage,
  options: stackOption,
  positionals: true,
  run: async ({ values, positionals: [position, ...reason] }) => {
    if (position !== undefined && position !== "on" && position !== "off") {
      throw new WrongUse(`${position} is not a position of the switch. ${SET}`);
    }
    const target = findTarget(values.data);
    if (position !== undefined) announce(target);
    await onDatabase(async ({ db }) => {
      if (position !== undefined)
        await setSwitch(db, system("llm-switch"), position === "on", reason.join(" ") || null);
      console.log(position === undefined ? `${describe(await findSwitch(db))}\n${SET}` : `${CALLS} ${position}.`);
    }, target);
  },
});

function describe(found: Awaited<ReturnType<typeof findSwitch>>): string {
  if (found === undefined) return `${CALLS} on: nobody has set the switch yet.`;
  const { external, changedAt, reason: why } = found;
  return `${CALLS} ${external ? "on" : "off"} since ${changedAt.toISOString()}${why === null ? "." : `: ${why}`}`;
}
