import { lineOf } from "../lib/terminal/table.ts";
import type { Stack } from "../localstack/stack.ts";
import { percentile } from "./measure.ts";

/** Pieces that only load the functions. */
const WARM_UP = 5;

/**
 * Prints how long work takes from its POST to its result over the whole local stack, one piece after the other: HTTP, functions,
 * the SQS emulator, an agent process that starts `true`, and back. The emulator and the pollers are part of the figure.
 */
export async function measureLatency({ url, key }: Stack, pieces = 60): Promise<void> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const submitted: number[] = [];
  const finished: number[] = [];
  for (let n = -WARM_UP; n < pieces; n++) {
    const started = performance.now();
    const created = await post(`${url}/work`, headers, {
      request_text: "nothing",
      work_type: "code.run",
      parameters: { command: "true" },
    });
    const acceptedMs = performance.now() - started;
    const done = (await (await fetch(`${url}/work/${created.task_id}?wait=20`, { headers })).json()) as {
      status: string;
    };
    if (done.status !== "completed") throw new Error(`work ${created.task_id} is ${done.status}`);
    if (n < 0) continue;
    submitted.push(acceptedMs);
    finished.push(performance.now() - started);
  }
  const line = lineOf(-36, 10, 10);
  console.log(line("latency over the local stack, ms", "p50", "p99"));
  for (const [name, values] of [
    ["POST /work", submitted],
    ["POST /work to its result seen", finished],
  ] as const) {
    console.log(line(name, ...[0.5, 0.99].map((share) => percentile(values, share).toFixed(1))));
  }
}

async function post(url: string, headers: Record<string, string>, body: unknown): Promise<{ task_id: string }> {
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(body), headers });
  if (answer.status !== 201) throw new Error(`POST ${url} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as { task_id: string };
}
