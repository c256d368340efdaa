import { once } from "node:events";
import { statfs } from "node:fs/promises";
import { connect } from "node:net";

const GB = 1e9;

/** Asks once and follows no redirect. Answers the status; throws where it is not the expected one, or 400 and above. */
export async function probeHttp(url: string, expected: number | undefined, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { redirect: "manual", signal, headers: { "user-agent": "waybill-infra" } });
  await response.body?.cancel();
  const { status } = response;
  if (expected !== undefined && status !== expected) throw new Error(`status ${status}, expected ${expected}`);
  if (expected === undefined && status >= 400) throw new Error(`status ${status}`);
  return `status ${status}`;
}

/** Connects and hangs up. Throws where nobody listens. */
export async function probeTcp(target: string, signal: AbortSignal): Promise<string> {
  const colon = target.lastIndexOf(":");
  const host = target.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const port = Number(target.slice(colon + 1));
  if (port < 1 || port > 65_535) throw new Error(`${port} is not a port; take one from 1 to 65535`);
  const socket = connect({ host, port });
  try {
    await once(socket, "connect", { signal });
  } finally {
    socket.destroy();
  }
  return "connected";
}

/** Free space for ordinary users, in GB of 10^9 bytes. Throws where it is less than `minFreeGb`, or the path is not there. */
export async function probeDisk(path: string, minFreeGb: number | undefined): Promise<string> {
  const { bavail, bsize } = await statfs(path);
  const free = (bavail * bsize) / GB;
  if (minFreeGb !== undefined && free < minFreeGb) throw new Error(`${free.toFixed(1)} GB free, ${minFreeGb} wanted`);
  return `${free.toFixed(1)} GB free`;
}
