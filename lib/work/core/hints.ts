import * as z from "zod";
import { must } from "../../input/faults.ts";
import { JsonValue, text } from "../../protocol/fields.ts";

const words = z.union([z.string(), z.array(z.string())]).nullish();

const KEY = must("be a text of 1 to 200 characters: work of one agent with the same key runs one after the other");

/**
 * Advice for the agent and the router. A hint that we read must be of its kind, or null; every other is the caller's and the agent's
 * own. Nothing is changed in it, for it is hashed as it came.
 */
export const Hints = z
  .object({
    capabilities: words,
    project: words,
    environment: words,
    language: words,
    files: words,
    parent_task_id: z.guid(must("be a UUID, or be left out")).nullish(),
    concurrency_key: text(200, 1, z.string(KEY)).nullish(),
    privacy: z.literal("local-only", must('be "local-only", or be left out')).nullish(),
  })
  .catchall(JsonValue);
