// Runs beside an unpacked bundle, in a plain Node: loads the handler that argv names, calls it with each event of stdin (JSON
// array), and prints what it answered, how long loading took and how much memory the process has used.
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

// What Lambda gives to functions with response streaming; here the stream is read to its end and answered whole.
globalThis.awslambda = {
  streamifyResponse: (run) => async (event) => {
    const out = new PassThrough();
    const body = text(out);
    await run(event, out, { getRemainingTimeInMillis: () => 30_000 });
    return { ...out.head, body: await body };
  },
  HttpResponseStream: { from: (out, head) => Object.assign(out, { head }) },
};

const events = JSON.parse(await text(process.stdin));
const started = performance.now();
const { handler } = await import(pathToFileURL(process.argv[2]).href);
const loadMs = Math.round(performance.now() - started);
const answers = [];
for (const event of events) answers.push(await handler(event));
const megabytes = Math.round(process.memoryUsage.rss() / 1_048_576);
// Not awaited on Lambda either: connections stay open.
process.stdout.write(JSON.stringify({ answers, loadMs, megabytes }), () => process.exit(0));
