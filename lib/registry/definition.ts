import * as z from "zod";
import { must } from "../input/faults.ts";
import { text } from "../protocol/fields.ts";
import { AgentName, ORCHESTRATOR, Uuid } from "../protocol/messages.ts";
import { compileGlob } from "./patterns/glob.ts";
import { compilePattern, MAX_PATTERN_LENGTH } from "./patterns/pattern.ts";
import { wordsOf } from "./patterns/words.ts";

const VERSION = must('be a version such as "1.0.0", in quotes where it would be a number');
const WORK_TYPES = must("be a work type such as code.run, a group such as code.*, or *");
const WORDLESS = must(
  'have a word, of letters or digits, as words are compared; for other characters write a pattern, such as {pattern: "🎨"}',
);
const TRIGGER = must('be a phrase, such as "write a poem", or {pattern: "a regular expression"}');
const QUEUE = must("be the URL of an SQS queue, or its name: letters, digits, - and _, at most 80");

/** A list of at most `most`, each entry once. */
const listOf = <S extends z.ZodType>(entry: S, most: number) =>
  z.array(entry).max(most).superRefine(refuseTwins).meta({ uniqueItems: true }).default([]);

const Word = text(100, 1).regex(/^\S(.*\S)?$/u, must("be one line without space at its ends"));

const Phrase = text(200, 1)
  .refine((phrase) => wordsOf(phrase).length > 0, WORDLESS)
  .describe("words that a request says, of letters or digits");
const Pattern = text(MAX_PATTERN_LENGTH, 1)
  .superRefine(refuseUnsafe)
  .describe("a regular expression (RE2), found anywhere in the request, in either case");
const WithPhrase = z.strictObject({ phrase: Phrase });
const Trigger = z.union(
  [Phrase.transform((phrase) => ({ phrase })).pipe(WithPhrase), WithPhrase, z.strictObject({ pattern: Pattern })],
  { error: triggerFault },
);

const Limits = z.strictObject({
  concurrency: z.int().min(1).max(10_000).optional().describe("pieces of work at once; AGENT_IN_FLIGHT where left out"),
  per_key: z.int().min(1).max(10_000).default(1).describe("at once of those with one hints.concurrency_key"),
  rate: z
    .strictObject({ count: z.int().min(1).max(10_000), per_seconds: z.number().min(0.001).max(86_400) })
    .optional()
    .describe("starts of work, at most so many in any such time"),
});

const Cost = z.strictObject({
  per_task_usd: z.number().min(0).max(1e9).optional(),
  per_hour_usd: z.number().min(0).max(1e9).optional(),
});

const Routing = z.strictObject({
  projects: listOf(Uuid, 1000),
  environments: listOf(Word, 100),
  languages: listOf(Word, 100),
  files: listOf(Word.superRefine(refuseNoGlob), 100).describe("globs, such as **/*.ts"),
  after: listOf(AgentName, 100).describe("agents whose work this one follows"),
});

/** An agent's definition; the file and the body of PUT /agents/{name} are this. Parsed, its defaults are filled in. */
export const AgentDefinition = z
  .strictObject({
    name: AgentName,
    version: z
      .string(VERSION)
      .max(100)
      .regex(/^\d{1,9}(\.\d{1,9}){0,2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/, VERSION)
      .default("1.0.0")
      .describe("semantic; a higher one takes the place of a lower one"),
    description: text(2000).default(""),
    capabilities: listOf(Word, 200),
    triggers: z.array(Trigger).max(500).default([]),
    work_types: z
      .array(
        z
          .string(WORK_TYPES)
          .max(100)
          .regex(/^(\*|[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*(\.\*)?)$/, WORK_TYPES),
      )
      .min(1)
      .max(200)
      .superRefine(refuseTwins)
      .default(["*"])
      .describe("what it takes: code.run, code.*, or * for any work"),
    limits: Limits.prefault({}),
    cost: Cost.default({}),
    queue: z.union([z.url({ protocol: /^https?$/ }), z.string().regex(/^[A-Za-z0-9_-]{1,80}$/)], QUEUE).optional(),
    presence: z
      .enum(["reported", "assumed"])
      .default("reported")
      .describe("reported: not chosen while it has said nothing for AGENT_PRESENCE_SECONDS"),
    routable: z.boolean().default(true).describe("false: work never goes to it"),
    routing: Routing.prefault({}).describe("where it fits best"),
  })
  .refine(({ name, routable }) => name !== ORCHESTRATOR || !routable, {
    path: ["routable"],
    message: "must be false: no work goes to the orchestrator",
  })
  .meta({ id: "AgentDefinition" });
export type AgentDefinition = z.infer<typeof AgentDefinition>;

function refuseTwins(values: readonly unknown[], context: z.RefinementCtx): void {
  for (const [index, value] of values.entries()) {
    if (values.indexOf(value) === index) continue;
    context.addIssue({ code: "custom", path: [index], message: "is there twice; keep one" });
  }
}

/** Of a text what is wrong with it as a phrase; of anything else what it may be. */
function triggerFault(issue: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidUnion>): string {
  const [asPhrase] = issue.errors;
  return typeof issue.input === "string" && asPhrase?.[0] !== undefined ? asPhrase[0].message : TRIGGER.error(issue);
}

function refuseUnsafe(pattern: string, context: z.RefinementCtx): void {
  try {
    compilePattern(pattern);
  } catch (error) {
    const reason = (error as Error).message.replace("error parsing regexp: ", "");
    const message = `must be a regular expression of RE2, which has no look-around and no back-references: ${reason}`;
    context.addIssue({ code: "custom", message });
  }
}

function refuseNoGlob(glob: string, context: z.RefinementCtx): void {
  try {
    compileGlob(glob);
  } catch {
    const message = "must be a glob of *, **, ?, [...] and {a,b}";
    context.addIssue({ code: "custom", message });
  }
}
