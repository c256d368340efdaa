import type { APIGatewayProxyStructuredResultV2, Context } from "aws-lambda";
import { carried, type LlmEvent, serveLlm } from "../../lib/wiring/llm.ts";

/**
 * The LLM gateway behind the HTTP API: /llm/v1/* and /llm/route, answered whole; with `stream: true` as one SSE body. An
 * answer that fails on the way is never given in part: the next model is asked.
 */
export async function handler(event: LlmEvent, context?: Context): Promise<APIGatewayProxyStructuredResultV2> {
  const whole = { ...event, headers: { ...event.headers, "x-waybill-stream": "whole" } };
  const reply = await serveLlm(whole, context, new AbortController().signal);
  const parts: string[] = [reply.body];
  if (reply.stream !== undefined) for await (const part of reply.stream) parts.push(part);
  // Lambda freezes the process when this returns, so the accounts are kept before; that is bounded, and never fails.
  await reply.after();
  const { status, headers, body } = carried(event, { ...reply, body: parts.join("") });
  return { statusCode: status, headers, body };
}
