import { functionUrl } from "../../lib/runtime/http/function-url.ts";
import { llmCalls } from "../../lib/wiring/calls/llm.ts";
import { llmGateway, openAtStart, processLlmParts } from "../../lib/wiring/llm.ts";

const parts = processLlmParts();
const gateway = llmGateway(parts);
openAtStart(gateway, parts.edges);

/** The LLM gateway behind its function URL: the same calls as llm-route, streams given as they come. */
export const handler: unknown = functionUrl(llmCalls(gateway, parts, "live"));
