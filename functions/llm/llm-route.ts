import { apiGateway } from "../../lib/runtime/http/lambda.ts";
import { llmCalls } from "../../lib/wiring/calls/llm.ts";
import { llmGateway, openAtStart, processLlmParts } from "../../lib/wiring/llm.ts";

const parts = processLlmParts();
const gateway = llmGateway(parts);
openAtStart(gateway, parts.edges);

/**
 * The LLM gateway behind the HTTP API: /llm/v1/* and /llm/route, answered whole; with `stream: true` as one SSE body. An
 * answer that fails on the way is never given in part: the next model is asked.
 */
export const handler = apiGateway(llmCalls(gateway, parts, "whole"));
