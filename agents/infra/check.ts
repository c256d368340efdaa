import * as z from "zod";
import { defineWork, type Outcome, type Work } from "../../lib/agent-kit/define-work.ts";
import { messageOf } from "../../lib/agent-kit/text.ts";
import { probeDisk, probeHttp, probeTcp } from "./probes.ts";

const HttpTarget = z.strictObject({
  http: z
    .string()
    .transform((text) => (text.startsWith("/") ? ownAddress(text) : text))
    .pipe(z.url({ protocol: /^https?$/, error: "must be an http or https URL, or a path of Waybill's own API" })),
  expect_status: z.int().min(100).max(599).optional().describe("without it: any status below 400"),
});
/** A path of the HTTP API that this agent registers at, as an address; the path where it knows none. */
function ownAddress(path: string): string {
  const api = process.env["WAYBILL_API_URL"];
  return api ? new URL(path, api).href : path;
}

const TcpTarget = z.strictObject({
  tcp: z.string().regex(/^(\[[^\]]+\]|[^:\s]+):\d{1,5}$/, "must be host:port, such as 127.0.0.1:5432"),
});
const DiskTarget = z.strictObject({ disk: z.string().min(1), min_free_gb: z.number().min(0).optional() });
const Target = z.union([HttpTarget, TcpTarget, DiskTarget], {
  error: 'must be {"http": URL, "expect_status"?}, {"tcp": "host:port"} or {"disk": PATH, "min_free_gb"?}',
});
type Target = z.infer<typeof Target>;

const InfraCheck = z.strictObject({
  targets: z.array(Target).min(1).max(100),
  timeout_seconds: z.number().positive().max(60).default(5).describe("for each target"),
});

/** infra.check: probes all targets at once, one step each; failed where any fails, saying which and why. */
export const infraCheck: Work = defineWork(
  InfraCheck,
  async ({ targets, timeout_seconds }, { signal, step, progress }): Promise<Outcome> => {
    let done = 0;
    const faults = await Promise.all(
      targets.map((target) =>
        step(nameOf(target), async ({ write, summary, fail }) => {
          const limit = AbortSignal.any([signal, AbortSignal.timeout(timeout_seconds * 1000)]);
          try {
            const answer = await probe(target, limit);
            write(`${nameOf(target)}: ${answer}\n`);
            summary(answer);
            return undefined;
          } catch (error) {
            signal.throwIfAborted();
            const why = limit.aborted ? `no answer within ${timeout_seconds} s` : reasonOf(error);
            write(`${nameOf(target)}: ${why}\n`);
            fail(why);
            return `${nameOf(target)} (${why})`;
          } finally {
            progress(++done / targets.length);
          }
        }),
      ),
    );
    const failures = faults.filter((fault) => fault !== undefined);
    const metrics = { targets: targets.length, failed: failures.length };
    if (failures.length === 0) return { metrics };
    const error = `${failures.length} of ${targets.length} targets failed: ${failures.join(", ")}`;
    return { status: "failed", error, metrics };
  },
);

async function probe(target: Target, signal: AbortSignal): Promise<string> {
  if ("http" in target) return await probeHttp(target.http, target.expect_status, signal);
  if ("tcp" in target) return await probeTcp(target.tcp, signal);
  return await probeDisk(target.disk, target.min_free_gb);
}

function nameOf(target: Target): string {
  if ("http" in target) return `http ${target.http}`;
  return "tcp" in target ? `tcp ${target.tcp}` : `disk ${target.disk}`;
}

/** fetch says "fetch failed" and keeps the reason in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as { code?: unknown }).code;
  return typeof code === "string" ? code : messageOf(cause);
}
