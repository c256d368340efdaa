import { SignatureV4 } from "@smithy/signature-v4";
import { sqs } from "../../runtime/aws/sqs.ts";

/** Waybill's HTTP API as an agent reaches it. */
export type Api = {
  url: string;
  /** Whether calls are signed with the credentials of this process, as the API of a deployment asks for (AWS_IAM). */
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
  const { host: _, ...headers } = api.sign ? await sign(url, method, plain, body) : plain;
  const answer = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(PATIENCE_MS) });
  const text = await answer.text();
  const date = new Date(answer.headers.get("date") ?? "");
  return {
    status: answer.status,
    ...(answer.ok ? {} : { detail: detailOf(text) }),
    ...(Number.isNaN(date.getTime()) ? {} : { date }),
  };
}

/** With the credentials and the region by which the agent reaches its queue. */
async function sign(url: URL, method: string, headers: Record<string, string>, body: string) {
  const { credentials, region, sha256 } = sqs.config;
  const signer = new SignatureV4({ credentials, region, sha256, service: "execute-api" });
  const { protocol, hostname, port, pathname: path, searchParams } = url;
  const where = port === "" ? { protocol, hostname, path } : { protocol, hostname, port: Number(port), path };
  const signed = await signer.sign({ ...where, method, headers, body, query: Object.fromEntries(searchParams) });
  return signed.headers;
}

function detailOf(text: string): string {
  try {
    return (JSON.parse(text) as { detail?: string }).detail ?? "";
  } catch {
    return text.slice(0, 200);
  }
}
