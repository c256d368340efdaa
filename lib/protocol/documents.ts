import * as z from "zod";
import { errorCodes } from "./error-codes.ts";
import { TIMESTAMP_FORM } from "./fields.ts";
import {
  ErrorMessage,
  ErrorReport,
  ExternalAiUse,
  MAX_MESSAGE_BYTES,
  MAX_MESSAGE_DEPTH,
  OutputChunk,
  PROTOCOL_VERSION,
  Step,
  Timestamp,
  WorkRequest,
  WorkRequestMessage,
  WorkResult,
  WorkResultMessage,
  WorkStatus,
  WorkStatusMessage,
} from "./messages.ts";

type Json = Record<string, unknown>;

const messages = { WorkRequestMessage, WorkStatusMessage, WorkResultMessage, ErrorMessage };
const parts = { WorkRequest, WorkStatus, WorkResult, ErrorReport, Step, OutputChunk, ExternalAiUse };

/** The JSON Schema (draft 2020-12) of every message: what one validates against in a language without this library. */
export function protocolSchema(): Json {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: `Waybill message, protocol version ${PROTOCOL_VERSION}`,
    description: beyondSchema(),
    oneOf: Object.keys(messages).map((name) => ({ $ref: `#/$defs/${name}` })),
    $defs: definitions("#/$defs/"),
  };
}

/** The AsyncAPI 3.0 document: the queues, who says what on each of them, and the messages. */
export function asyncApi(): Json {
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Waybill",
      version: PROTOCOL_VERSION,
      description: `The messages between Waybill's control plane and the agents, seen from the control plane.\n\n${beyondSchema()}\n\n${errorCodeTable()}`,
    },
    defaultContentType: "application/json",
    channels: {
      work: channel("waybill-work", "Wakes the dispatcher. A hint: losing it costs time and nothing else.", [
        "WorkStatusMessage",
      ]),
      results: channel(
        "waybill-results",
        "What agents say: status, results, errors. In any order, and perhaps twice.",
        ["WorkStatusMessage", "WorkResultMessage", "ErrorMessage"],
      ),
      agent: {
        ...channel("waybill-agent-{name}", "agent.{name}: what one agent is told.", [
          "WorkRequestMessage",
          "WorkStatusMessage",
          "ErrorMessage",
        ]),
        parameters: { name: { description: "The agent's name, as in to_agent.", examples: ["code", "infra"] } },
      },
    },
    operations: {
      wakeDispatcher: operation("send", "work", "work_status approved: work is ready.", ["WorkStatusMessage"]),
      dispatchWork: operation("receive", "work", "Dispatches what is ready.", ["WorkStatusMessage"]),
      requestWork: operation("send", "agent", "Asks the agent to do one attempt.", ["WorkRequestMessage"]),
      cancelWork: operation("send", "agent", "work_status cancelled: stop the attempt.", ["WorkStatusMessage"]),
      refuseMessage: operation("send", "agent", "Answers a message that does not parse with 5003.", ["ErrorMessage"]),
      recordStatus: operation("receive", "results", "Renews the lease, records steps and output, or takes work back.", [
        "WorkStatusMessage",
      ]),
      recordResult: operation("receive", "results", "Ends the attempt.", ["WorkResultMessage"]),
      recordError: operation("receive", "results", "Ends an attempt that could not begin.", ["ErrorMessage"]),
    },
    components: {
      messages: Object.fromEntries(Object.entries(messages).map(([name, schema]) => [name, messageOf(name, schema)])),
      schemas: definitions("#/components/schemas/"),
    },
  };
}

/** The table of error codes in Markdown, as the documents show it. */
export function errorCodeTable(): string {
  const rows = Object.entries(errorCodes).map(([code, { name, meaning }]) => `| ${code} | ${name} | ${meaning} |`);
  return ["| error_code | name | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

function beyondSchema(): string {
  return [
    `A message is a JSON text of at most ${MAX_MESSAGE_BYTES} bytes, nested at most ${MAX_MESSAGE_DEPTH} levels deep.`,
    "No text holds a NUL character or half of a surrogate pair, no key is __proto__, and numbers are 64-bit floats.",
    "Characters U+FFFE and U+FFFF are written as escapes, for SQS refuses them; any other may be.",
  ].join(" ");
}

/** Every message and part as a schema of its own; `base` and its name is how the others refer to it. */
function definitions(base: string): Json {
  const named = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries({ ...messages, ...parts })) named.add(schema, { id });
  const { schemas } = z.toJSONSchema(named, { io: "input", uri: (id) => base + id, override: simplify });
  return Object.fromEntries(
    Object.keys({ ...messages, ...parts }).map((name) => {
      const { $schema: _, $id: __, ...schema } = schemas[name] as Json;
      return [name, schema];
    }),
  );
}

/** Says what zod says at length as a reader would: `format` carries the calendar, and keys of JSON are strings anyway. */
function simplify({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: Json }): void {
  delete jsonSchema["propertyNames"];
  if (zodSchema === Timestamp) {
    delete jsonSchema["allOf"];
    Object.assign(jsonSchema, { format: "date-time", pattern: TIMESTAMP_FORM.source });
  }
}

function messageOf(name: string, schema: (typeof messages)[keyof typeof messages]): Json {
  return { name: schema.shape.type.value, title: name, payload: { $ref: `#/components/schemas/${name}` } };
}

function channel(address: string, description: string, names: string[]): Json {
  const refs = names.map((name) => [name, { $ref: `#/components/messages/${name}` }]);
  return { address, description, messages: Object.fromEntries(refs) };
}

function operation(action: "send" | "receive", to: string, summary: string, names: string[]): Json {
  const refs = names.map((name) => ({ $ref: `#/channels/${to}/messages/${name}` }));
  return { action, channel: { $ref: `#/channels/${to}` }, summary, messages: refs };
}
