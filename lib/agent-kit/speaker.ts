import { hostname } from "node:os";

/** Which process this is, in words for people: HOST:PID, at most 200 characters. */
export function processName(): string {
  return `${hostname().slice(0, 180)}:${process.pid}`;
}

/** What every message about a run says of its start: which one it is, and which process speaks. */
export function speaking(startId: string | undefined): { start_id?: string; process: string } {
  return { ...(startId === undefined ? {} : { start_id: startId }), process: processName() };
}
