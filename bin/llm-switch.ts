// npm run llm:switch -- off|on [REASON]: stops, or allows again, every call to an external vendor, within a second.
import { setSwitch } from "../lib/llm/queries.ts";
import { connect } from "../lib/runtime/db.ts";

const [position, ...reason] = process.argv.slice(2);
if (position !== "on" && position !== "off") {
  console.error("Usage: npm run llm:switch -- off|on [REASON]");
  process.exit(2);
}
const db = connect();
try {
  await setSwitch(db, position === "on", reason.join(" ") || null);
  console.log(`Calls to external vendors are ${position}.`);
} catch (error) {
  console.error(
    `The switch was not set: ${(error as Error).message}. Is the database there (DATABASE_URL), and migrated?`,
  );
  process.exitCode = 1;
} finally {
  await db.end();
}
