// Runs in a plain Node: loads the bundle that argv names, calls it once and then often, and prints what that took.
import { createRequire } from "node:module";

const CALLS = 200;
const event = {
  version: "2.0",
  routeKey: "$default",
  rawPath: "/hello/world",
  rawQueryString: "",
  headers: { host: "localhost", accept: "application/json" },
  requestContext: { domainName: "localhost", http: { method: "GET", path: "/hello/world", sourceIp: "127.0.0.1" } },
  isBase64Encoded: false,
};

const began = performance.now();
const { handler } = createRequire(import.meta.url)(process.argv[2]);
const answer = await handler(event);
const initMs = performance.now() - began;
if (answer.statusCode !== 200 || answer.body !== '{"hello":"world"}') throw new Error(JSON.stringify(answer));
const then = performance.now();
for (let i = 0; i < CALLS; i++) await handler(event);
const callUs = ((performance.now() - then) / CALLS) * 1000;
process.stdout.write(JSON.stringify({ initMs, callUs, rssMb: process.memoryUsage.rss() / 1e6 }), () => process.exit(0));
