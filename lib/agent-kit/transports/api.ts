import type { SQSClient } from "@aws-sdk/client-sqs";
import { SignatureV4 } from "@smithy/signature-v4";
import { sqs } from "../../runtime/aws/sqs.ts";

/** Waybill's HTTP API as an agent reaches it. */
export type Api = {
  url: string;
  /** The agent's key. Without one calls say nothing of who makes them, unless they are signed. */
  key?: string | undefined;
  /** Whether calls are signed with the credentials of this process, as an API asks for whose `authorization` is AWS_IAM. */
  sign: boolean;
  /** How often the agent says that it is there, in seconds. */
  everySeconds: number;
};

/** A call of it; the path begins with a slash, the body is text of this content type. */
export type Call = { method: "PUT" | "POST"; path: string; type: string; body: string };

const PATIENCE_MS = 10_000;

/** What it answered: its status, the detail of a refusal, and what time it is there. */
export type Answer = { status: number; detail?: string; date?: Date };

/** Makes a call. Throws where nothing answers within 10 s. */
export async function callApi(api: Api, { method, path, type, body }: Call): Promise<Answer> {
  const url = new URL(api.url.replace(/\/+$/, "") + path);
  const plain = { "content-type": type, host: url.host };
  const { host: _, ...headers } = api.sign ? await signed(sqs.config, url, method, plain, body) : withKey(plain, api);
  const answer = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(PATIENCE_MS) });
  const text = await answer.text();
  const date = new Date(answer.headers.get("date") ?? "");
  return {
    status: answer.status,
    ...(answer.ok ? {} : { detail: detailOf(text) }),
    ...(Number.isNaN(date.getTime()) ? {} : { date }),
  };
}

/** The JSON that a GET is answered with, whoever asks. Throws where that is not 200, or nothing answers within 10 s. */
export async function getJson(api: Pick<Api, "url">, path: string): Promise<unknown> {
  const url = new URL(api.url.replace(/\/+$/, "") + path);
  const answer = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.status !== 200) throw new Error(`GET ${url.href} answered ${answer.status}`);
  return await answer.json();
}

function withKey(headers: Record<string, string>, { key }: Api): Record<string, string> {
  return key === undefined ? headers : { ...headers, authorization: `Bearer ${key}` };
}

/** As whom, and for which region, a client of the SDK calls. */
type Signing = Pick<SQSClient["config"], "credentials" | "region" | "sha256">;

/** The headers of a call of Waybill's API with the signature that AWS_IAM asks for; `headers` name the host that is asked. */
export async function signed(
  { credentials, region, sha256 }: Signing,
  url: URL,
  method: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Record<string, string>> {
  const sign = new SignatureV4({ credentials, region, sha256, service: "execute-api" });
  const { protocol, hostname, port, pathname: path, searchParams } = url;
  const where = port === "" ? { protocol, hostname, path } : { protocol, hostname, port: Number(port), path };
  const request = { ...where, method, headers, body, query: Object.fromEntries(searchParams) };
  return (await sign.sign(request)).headers;
}

function detailOf(text: string): string {
  try {
    return (JSON.parse(text) as { detail?: string }).detail ?? "";
  } catch {
    return text.slice(0, 200);
  }
}
