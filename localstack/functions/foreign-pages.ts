import { randomUUID } from "node:crypto";

type Told = { origin?: string | undefined; host?: string | undefined };

/**
 * Whether a call comes from a page of somebody else's in the browser of this machine: loopback does not keep those out, and
 * agents run commands. Told by an Origin, or by a Host that a foreign name server made point here: a page always sends one. Single
 * names are containers, and two more are this machine as containers call it. `allowed`: the origins of CORS_ORIGINS.
 */
export function isForeign({ origin, host }: Told, allowed: readonly string[] = []): boolean {
  if (host !== undefined && !OWN_HOST.test(host.toLowerCase().replace(/:\d+$/, ""))) return true;
  if (origin === undefined || allowed.includes(origin)) return false;
  const from = URL.parse(origin)?.hostname;
  return from === undefined || !OWN_PAGE.test(from);
}

const OWN_HOST = /^(\[[0-9a-f:]+\]|[0-9.]+|[a-z0-9_-]+|[a-z0-9.-]+\.localhost|host\.(docker|containers)\.internal)$/;
const OWN_PAGE = /^(\[::1\]|127\.[0-9.]+|localhost|.+\.localhost)$/;

/** What a foreign page is answered, with status 403: a problem as JSON. */
export function foreignProblem(): string {
  return JSON.stringify({
    type: "urn:waybill:problem:foreign_origin",
    title: "Forbidden",
    status: 403,
    code: "foreign_origin",
    detail:
      "The local stack takes no calls from other sites' pages, nor under a name that could be theirs. Call it without Origin, by " +
      "127.0.0.1, localhost, another IP address, host.docker.internal or a name without dots.",
    trace_id: randomUUID(),
  });
}
