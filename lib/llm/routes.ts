import * as z from "zod";
import type { Need } from "../access/may.ts";
import type { Route } from "../runtime/http/route.ts";
import { CAPABILITIES } from "./config/schema.ts";
import { errorWords } from "./refusals.ts";

/** Who may call models: members, and agents. */
const CALLER: Need = { role: "member", scope: "llm:use", agents: "any" };

const ties = z.object({
  "x-waybill-task-id": z.guid().optional(),
  "x-waybill-trace-id": z.guid().optional(),
  "x-waybill-agent": z.string().max(100).optional(),
  "x-waybill-stream": z.enum(["live", "whole"]).optional(),
  "x-waybill-privacy": z.literal("local-only").optional(),
});
const asked = { model: z.string().describe("a model's or a chain's name") };
const conversation = z.looseObject({ ...asked, messages: z.array(z.unknown()) });
const told = ["x-waybill-model", "x-waybill-attempts", "x-waybill-cost-usd", "x-waybill-overhead-ms"];
const answers = (description: string, stream = true) => ({
  200: { description, schema: z.looseObject({}), headers: told, stream },
  400: { description: "The request is at fault, or no model can take it" },
  402: { description: "A budget has no room" },
  404: { description: "No model or chain has this name" },
  413: { description: "The answer is more than the HTTP API carries" },
  429: { description: "Every vendor asks to wait" },
  502: { description: "No vendor gave a usable answer" },
  503: { description: "The vendors are down, external calls are switched off, or the configuration is refused" },
  504: { description: "No vendor answered in time" },
  "4XX": { description: "What the vendor refuses, with its own status" },
});

export const chatCompletions = {
  method: "POST",
  path: "/llm/v1/chat/completions",
  operation: "createChatCompletion",
  summary: "A chat completion in OpenAI's words, by the first model of the chain that answers.",
  access: CALLER,
  function: "llm-route",
  headers: ties,
  body: conversation,
  answers: answers("The completion, or its chunks"),
  errors: errorWords("chat"),
} as const satisfies Route;

export const messages = {
  method: "POST",
  path: "/llm/v1/messages",
  operation: "createMessage",
  summary: "A message in Anthropic's words, by the first model of the chain that answers.",
  access: CALLER,
  function: "llm-route",
  headers: ties,
  body: conversation,
  answers: answers("The message, or its events"),
  errors: errorWords("messages"),
} as const satisfies Route;

export const embeddings = {
  method: "POST",
  path: "/llm/v1/embeddings",
  operation: "createEmbedding",
  summary: "Embeddings in OpenAI's words.",
  access: CALLER,
  function: "llm-route",
  headers: ties,
  body: z.looseObject({ ...asked, input: z.union([z.string(), z.array(z.unknown())]) }),
  answers: answers("The embeddings", false),
  errors: errorWords("chat"),
} as const satisfies Route;

export const listModels = {
  method: "GET",
  path: "/llm/v1/models",
  operation: "listModels",
  summary: "The models and chains that can be asked.",
  access: CALLER,
  function: "llm-route",
  answers: {
    200: { description: "The names", schema: z.looseObject({}) },
    503: { description: "The configuration is refused" },
  },
  errors: errorWords("chat"),
} as const satisfies Route;

export const explainRoute = {
  method: "POST",
  path: "/llm/route",
  operation: "explainRoute",
  summary: "Explain which models would be tried, in which order and why, without calling anyone.",
  access: CALLER,
  function: "llm-route",
  body: z.strictObject({
    model: z.string().optional().describe("a model's or a chain's name; every model where left out"),
    tools: z.boolean().default(false),
    json_schema: z.boolean().default(false),
    vision: z.boolean().default(false),
    embeddings: z.boolean().default(false),
    min_window: z.int().min(1).optional(),
    input_tokens: z.int().min(0).default(1000).describe("for the cost"),
    output_tokens: z.int().min(0).default(1000).describe("for the cost"),
    max_cost_usd: z.number().min(0).optional(),
    privacy: z.literal("local-only").optional(),
  }),
  answers: {
    200: {
      description: "The chain",
      schema: z.strictObject({
        chain: z.string().nullable(),
        tries: z.array(
          z.strictObject({
            model: z.string(),
            id: z.string(),
            provider: z.string(),
            local: z.boolean(),
            window: z.int(),
            can: z.array(z.enum(CAPABILITIES)),
            cost_usd: z.string().nullable(),
            probe: z.boolean(),
          }),
        ),
        skipped: z.array(z.strictObject({ model: z.string(), reason: z.string() })),
      }),
    },
    404: { description: "No model or chain has this name" },
    503: { description: "The configuration is refused" },
  },
} as const satisfies Route;

export const llmRoutes = [chatCompletions, messages, embeddings, listModels, explainRoute] satisfies Route[];
