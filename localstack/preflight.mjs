// Runs before `npm start`, `npm run demo` and the commands of users, on whatever Node the machine has: plain JavaScript, nothing imported but Node's own.
import { existsSync } from "node:fs";

const installed = existsSync(new URL("../node_modules/serverless/package.json", import.meta.url));
const [major = 0] = process.versions.node.split(".").map(Number);

if (!installed || major < 24) {
  const what = installed
    ? `This is Node ${process.versions.node}; Waybill runs on Node 24, which npm ci installs beside it.`
    : "The project's packages are not installed.";
  console.error(`${what}\nRun: npm ci`);
  process.exit(1);
}
