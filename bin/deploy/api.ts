import { once } from "node:events";
import { type IncomingMessage, request as plain } from "node:http";
import { request as secure } from "node:https";
import { text } from "node:stream/consumers";
import { SQSClient, type SQSClientConfig } from "@aws-sdk/client-sqs";
import { signed } from "../../lib/agent-kit/transports/api.ts";
import type { Stack } from "./stack.ts";
import { type Target, valueOfTarget } from "./target.ts";

/** The HTTP API of a stage, called as whoever deploys. */
export type Api = (method: string, path: string, body?: unknown) => Promise<Answer>;
type Answer = { status: number; text: string; json: Said };
/** Of what it answers in JSON what is looked at; empty where the answer is none. */
type Said = {
  status?: string;
  task_id?: string;
  error_message?: string | null;
  held_up?: string | null;
  detail?: string;
  warnings?: string[];
  key?: string;
  key_id?: string;
  keys?: { x: string }[];
};

const PATIENCE_MS = 40_000;

/** What its calls show: a key where the stage takes keys; somebody else's credentials where they are signed. */
type Shown = { key?: string | undefined; as?: SQSClientConfig["credentials"] };

/**
 * The API of a stack, with signed calls where the stage asks for them. WAYBILL_API_URL says where it is reached when that is not its own
 * address, such as behind a domain; an AWS at AWS_ENDPOINT_URL has it there, under the name of its host.
 */
export function apiOf(target: Target, stack: Stack, { as, key }: Shown = {}): Api {
  const { url, host } = addressOf(stack);
  const signs = valueOfTarget(target, "authorization") === "AWS_IAM";
  const { config } = new SQSClient({ region: target.region, ...(as === undefined ? {} : { credentials: as }) });
  return async (method, path, body) => {
    const at = new URL(url.href.replace(/\/+$/, "") + path);
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      host: host ?? at.host,
      ...(sent === undefined ? {} : { "content-type": "application/json" }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    };
    return await send(at, method, signs ? await signed(config, at, method, headers, sent) : headers, sent);
  };
}

function addressOf({ outputs }: Stack): { url: URL; host?: string } {
  const told = process.env["WAYBILL_API_URL"];
  if (told) return { url: new URL(told) };
  const elsewhere = process.env["AWS_ENDPOINT_URL"];
  if (!elsewhere) return { url: new URL(outputs["HttpApiUrl"] ?? "") };
  const url = new URL(elsewhere);
  return { url, host: `${outputs["HttpApiId"]}.execute-api.localhost:${url.port}` };
}

type Headers = Record<string, string>;

/** By node:http, as fetch lets nobody name another host than the URL's. */
async function send(at: URL, method: string, headers: Headers, body: string | undefined): Promise<Answer> {
  const request = at.protocol === "https:" ? secure : plain;
  const sent = request(at, { method, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
  // Of itself Node says it for methods that usually have a body only; without it the body is read as the next request.
  if (body !== undefined) sent.setHeader("content-length", Buffer.byteLength(body));
  sent.end(body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  const read = await text(answer);
  return { status: answer.statusCode ?? 0, text: read, json: parsed(read) };
}

function parsed(json: string): Said {
  try {
    return JSON.parse(json) as Said;
  } catch {
    return {};
  }
}
