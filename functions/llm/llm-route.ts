import { apiGateway } from "../../lib/runtime/http/lambda.ts";
import { llmFunction } from "../../lib/wiring/calls/llm.ts";

/**
 * The LLM gateway behind the HTTP API: /llm/v1/* and /llm/route, answered whole; with `stream: true` as one SSE body. An
 * answer that fails on the way is never given in part: the next model is asked.
 */
export const handler = apiGateway(llmFunction("whole"));
