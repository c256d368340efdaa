// npm run seed: fills the database with sample work of every status. Run again, it changes nothing.
import { command } from "../lib/terminal/command.ts";
import { nameOf, onDatabase } from "./database.ts";
import { type Written, writeSamples } from "./seed/write.ts";

const usage = `Usage: npm run seed

Writes ten sample tasks, one status after the other, with steps, decisions, output and what language models cost. What is there stays as it is.
Environment: DATABASE_URL.`;

process.exitCode = await command({
  usage,
  run: () =>
    onDatabase(async ({ db }) => {
      const written = await writeSamples(db);
      console.log(tell(written, nameOf(db)));
    }),
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
