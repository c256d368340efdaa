import type { ServerResponse } from "node:http";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import { Unavailable } from "../../lib/errors.ts";
import { within } from "../../lib/time.ts";
import { DEFAULT_ROUTE, eventOf } from "./events.ts";
import { type Listening, listen } from "./http-server.ts";
import { contextOf } from "./local-functions.ts";

/** A function with response streaming, as `awslambda.streamifyResponse` takes it. */
export type Streaming = (event: unknown, out: Writable, context: unknown) => Promise<unknown>;
type Head = { statusCode: number; headers?: Record<string, string>; cookies?: string[] };

export type StreamUrl = Listening;

/** What Lambda gives to every function with response streaming: here a function is itself, and the head goes out at once. */
export const awslambda = {
  streamifyResponse: (run: Streaming): Streaming => run,
  HttpResponseStream: {
    from: (out: Writable, { statusCode, headers = {}, cookies }: Head): Writable => {
      const own = cookies === undefined ? {} : { "set-cookie": cookies };
      (out as ServerResponse).writeHead(statusCode, { ...headers, ...own });
      return out;
    },
  },
};

/** Where the function URL is, where that port is free. */
export const LLM_STREAM_PORT = 3003;

/** The `timeoutSeconds` that lib/wiring/functions.ts gives it on AWS. */
const TIMEOUT_MS = 300_000;

/**
 * Loads the function llm-stream, from the project's `root` or as a bundle, and serves its URL, on loopback unless `host` says
 * otherwise. Rejects where the port is taken.
 */
export async function serveStreamUrl(root: string, port: number, host?: string): Promise<StreamUrl> {
  Object.assign(globalThis, { awslambda });
  const file = root.endsWith(".cjs") ? root : join(root, "functions/llm/llm-stream.ts");
  const { handler } = (await import(pathToFileURL(file).href)) as { handler: Streaming };
  return await serveFunctionUrl("llm-stream", () => handler, { timeoutMs: TIMEOUT_MS, port, host });
}

/**
 * Serves the URL of a function with response streaming: one event a request, the answer as it is written. The function is loaded by
 * the first call; where it cannot be, each call is answered 500, and where it takes longer than its timeout 503, or cut off.
 */
export async function serveFunctionUrl(
  name: string,
  load: () => Streaming,
  { timeoutMs, port, host }: { timeoutMs: number; port: number; host?: string | undefined },
): Promise<Listening> {
  const serve = async (request: Parameters<typeof eventOf>[0], body: Buffer, response: ServerResponse) => {
    // serverless-offline puts its own in the place whenever it loads a function.
    Object.assign(globalThis, { awslambda });
    const event = eventOf(request, body, { routeKey: DEFAULT_ROUTE });
    await within(timeoutMs, load()(event, response, contextOf(name, timeoutMs)), () => {
      throw new Unavailable(`${name} did not answer within ${timeoutMs / 1000} s.`);
    });
  };
  return await listen(serve, port, host);
}
