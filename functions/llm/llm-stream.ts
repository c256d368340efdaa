import { functionUrl } from "../../lib/runtime/http/function-url.ts";
import { llmFunction } from "../../lib/wiring/calls/llm.ts";

/** The LLM gateway behind its function URL: the same calls as llm-route, streams given as they come. */
export const handler: unknown = functionUrl(llmFunction("live"));
