// npm run seed: fills the database with sample work of every status. Run again, it changes nothing.
import { command } from "../lib/terminal/command.ts";
import { announce, findTarget, nameOf, onDatabase, STACK_USAGE, stackOption } from "./database.ts";
import { type Written, writeSamples } from "./seed/write.ts";

const usage = `Usage: npm run seed -- [--data DIR]

Writes ten sample tasks, one status after the other, with steps, decisions, output and what language models cost. What is there stays as it is.
${STACK_USAGE}`;

process.exitCode = await command({
  usage,
  options: stackOption,
  run: async ({ values }) => {
    const target = findTarget(values.data);
    announce(target);
    await onDatabase(async ({ db }) => console.log(tell(await writeSamples(db), nameOf(db))), target);
  },
});

function tell({ tasks, steps, outputs, calls, of }: Written, database: string): string {
  if (tasks === 0) return `All ${of} sample tasks are in ${database} already; nothing was changed.`;
  const rest = tasks === of ? "" : ` The other ${of - tasks} were there already and stay as they are.`;
  return [
    `Wrote ${tasks} sample tasks with ${steps} steps and ${outputs} outputs, and ${calls} attempts at language models, to ${database}.${rest}`,
    "The executing and the approved one wait until 2999: no agent gets them, no sweep ends them. The pending one says hello once approved.",
    "Look at them: npm run report -- tasks-by-status",
  ].join("\n");
}
