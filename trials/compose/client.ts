import { setTimeout as sleep } from "node:timers/promises";

/** A piece of work as callers see it, as far as it is looked at. */
export type Task = {
  task_id: string;
  status: string;
  error_message: string | null;
  steps?: { output_summary: string | null }[];
};

/** What the HTTP API answered. */
export type Answer<T> = { status: number; body: T };

const CALL_MS = 40_000;
const PAUSE_MS = 500;

/** Where the HTTP API is, and the key for it. */
export type Api = { url: string; key: string };

/** Calls the HTTP API until it answers with anything but 429 or 5xx, for at most so many milliseconds; then it throws the last reason. */
export async function call<T>(api: Api, path: string, init: Init = {}, limitMs = 300_000): Promise<Answer<T>> {
  const until = performance.now() + limitMs;
  for (;;) {
    const reason = await once<T>(api, path, init).catch((error: unknown) => (error as Error).message);
    if (typeof reason !== "string") return reason;
    if (performance.now() > until) throw new Error(`${init.method ?? "GET"} ${path} has no answer: ${reason}`);
    await sleep(PAUSE_MS);
  }
}

type Init = { method?: string; headers?: Record<string, string>; body?: string };

async function once<T>({ url, key }: Api, path: string, init: Init): Promise<Answer<T> | string> {
  const headers = { ...init.headers, authorization: `Bearer ${key}` };
  const response = await fetch(url + path, { ...init, headers, signal: AbortSignal.timeout(CALL_MS) });
  const text = await response.text();
  if (response.status === 429 || response.status >= 500) return `${response.status} ${text.slice(0, 200)}`;
  return { status: response.status, body: JSON.parse(text) as T };
}

/** Submits work under a key, so that it is one piece however often it is sent. Throws where the answer accepts nothing. */
export async function submit(api: Api, key: string, work: object): Promise<Task> {
  const headers = { "content-type": "application/json", "idempotency-key": key };
  const { status, body } = await call<Task>(api, "/work", { method: "POST", headers, body: JSON.stringify(work) });
  if ((status === 201 || status === 200) && typeof body.task_id === "string") return body;
  throw new Error(`POST /work answered ${status}, which accepts nothing: ${JSON.stringify(body)}`);
}

const FINAL = new Set(["completed", "failed", "rejected", "cancelled"]);

/** The work as it is when it has ended; throws what it waits for where it has not within so many milliseconds. */
export async function ended(api: Api, taskId: string, limitMs: number): Promise<Task> {
  const until = performance.now() + limitMs;
  for (;;) {
    const { body } = await call<Task>(api, `/work/${taskId}`);
    if (FINAL.has(body.status)) return body;
    if (performance.now() > until) throw new Error(`${taskId} is ${body.status} after ${Math.round(limitMs / 1000)} s`);
    await sleep(PAUSE_MS);
  }
}

/** Runs one command by the agent `code` and answers the work that it was, once it has ended. */
export async function runCommand(api: Api, command: string, args: string[], limitMs = 120_000): Promise<Task> {
  const work = { request_text: "One command of a trial", work_type: "code.run", parameters: { command, args } };
  const { task_id } = await submit(api, crypto.randomUUID(), work);
  return await ended(api, task_id, limitMs);
}
