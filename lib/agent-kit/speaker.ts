import { hostname } from "node:os";

/** Which process this is, in words for people: HOST:PID, at most 200 characters. */
export function processName(): string {
  return `${hostname().slice(0, 180)}:${process.pid}`;
}

let latest = 0;

/** The time that a message says it was sent: now, in milliseconds, and later than that of any before, for by that they are told from copies. */
export function timeOfSending(): Date {
  latest = Math.max(Date.now(), latest + 1);
  return new Date(latest);
}

/** What every message about a run says of its start: which one it is, the token of its attempt, and which process speaks. */
export function speaking(
  startId: string | undefined,
  leaseToken: string | undefined,
): { start_id?: string; lease_token?: string; process: string } {
  return {
    ...(startId === undefined ? {} : { start_id: startId }),
    ...(leaseToken === undefined ? {} : { lease_token: leaseToken }),
    process: processName(),
  };
}
