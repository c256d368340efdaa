import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type ChannelModel, type ConfirmChannel, connect, type RecoveringChannelModel } from "amqplib";
import type { Topology } from "../../../lib/agent-kit/transports/amqp-topology.ts";
import { parseMessage } from "../../../lib/protocol/messages.ts";
import type { Pool } from "../../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../../lib/runtime/settings.ts";
import { dispatch } from "../../../lib/work/dispatch/dispatch.ts";
import { sendLeftovers } from "../../../lib/work/dispatch/sweep.ts";
import { workSettings } from "../../../lib/work/settings.ts";
import { fromAgent } from "../agents/keys.ts";
import { ACTOR } from "../database/actor.ts";
import { reply } from "../http/events.ts";

/** A bridge as a process of its own, started again whenever a test has killed it. */
export class BridgeProcess {
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  #said = "";

  constructor(env: Record<string, string>) {
    this.#env = { ...process.env, BRIDGE_PORT: "0", LOG_LEVEL: "info", ...env };
  }

  /** Its endpoint, once it is up. */
  async start(): Promise<string> {
    const child = fork(new URL("../../../localstack/bridge/main.ts", import.meta.url), {
      env: this.#env,
      silent: true,
    });
    this.#child = child;
    child.stderr?.on("data", (piece: Buffer) => (this.#said = (this.#said + piece.toString()).slice(-20_000)));
    const [{ ready }] = (await once(child, "message")) as [{ ready: string }];
    return ready;
  }

  /** What it has logged of late. */
  get said(): string {
    return this.#said;
  }

  /** Ends it; answers its exit code, null where it was killed. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = once(child, "exit");
    child.kill(signal);
    const [code] = (await ended) as [number | null];
    return code;
  }
}

/** An agent on the broker that does each request once, however often it gets it, and answers every time. */
export async function startAgent(url: string, names: Topology) {
  const done = new Map<string, string>();
  let repeats = 0;
  const connection: RecoveringChannelModel = await connect(url, {
    recovery: {
      initialDelay: 100,
      maxDelay: 1000,
      setup: async (model: ChannelModel) => {
        model.on("error", () => {});
        const channel: ConfirmChannel = await model.createConfirmChannel();
        channel.on("error", () => {});
        channel.on("close", () => void model.close().catch(() => {}));
        await channel.prefetch(100);
        await channel.consume(names.agentQueue("code"), (message) => {
          if (message === null) return void model.close().catch(() => {});
          const parsed = parseMessage(message.content.toString());
          if (!parsed.ok || parsed.message.type !== "work_request") return channel.nack(message, false, false);
          const request = parsed.message;
          if (done.has(request.request_id)) repeats++;
          const answer =
            done.get(request.request_id) ??
            fromAgent(reply(request, "work_result", { status: "completed", exit_code: 0, steps: [STEP] }));
          done.set(request.request_id, answer);
          channel.publish(names.results, "code", Buffer.from(answer), { persistent: true }, (error: Error | null) => {
            try {
              if (error === null) channel.ack(message);
            } catch {
              // The channel is closing: the request comes again.
            }
          });
        });
      },
    },
  });
  connection.on("error", () => {});
  return { done, repeats: () => repeats, stop: async () => await connection.close() };
}

const STEP = { step_number: 1, action: "echo", status: "completed", summary: "hello", duration_ms: 5 };

/** Submits pieces of work and sends them all to their agent's queue, however often that fails. */
export async function sendWork(
  pool: Pool,
  count: number,
  send: Parameters<typeof sendLeftovers>[2],
  stamp: Parameters<typeof dispatch>[5],
): Promise<void> {
  await bulkSubmit(pool, count);
  const settings = readSettings(workSettings, { AGENT_IN_FLIGHT: "10000" });
  while ((await dispatch(pool, ACTOR, settings, ["code"], send, stamp)).started.length > 0);
  for (;;) {
    const [left] = await pool<{ count: number }[]>`select count(*)::int from outbox`;
    if (left?.count === 0) return;
    await pool`update outbox set send_after = now()`;
    await sendLeftovers(pool, ACTOR, send, 60_000);
  }
}

/** The rows of many submits at once, as the pgbench script of the benchmarks writes them. */
async function bulkSubmit(pool: Pool, count: number): Promise<void> {
  const script = readFileSync(new URL("../../../bench/sql/lifecycle.sql", import.meta.url), "utf8");
  const statement = script.slice(script.indexOf("with decided"), script.indexOf(";")).replace(":batch", String(count));
  await pool.unsafe(statement);
}
