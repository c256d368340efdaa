import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { errorCodeTable } from "../../lib/protocol/documents.ts";
import { type Message, parseMessage, serialiseMessage } from "../../lib/protocol/messages.ts";

const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
const blocks = [...page.matchAll(/^```(\S*) ?(.*)\n([\s\S]*?)^```$/gm)].map(([, language, mark, text]) => ({
  language,
  mark,
  text: text ?? "",
}));

test("every example of a valid message is read, and is what the library writes", () => {
  const examples = blocks.filter(({ language, mark }) => language === "json" && mark === "");

  expect(examples.length).toBeGreaterThanOrEqual(9);
  for (const { text } of examples) {
    const parsed = parseMessage(text);
    if (!parsed.ok) throw new Error(`${JSON.stringify(parsed.faults)} in ${text}`);

    expect(JSON.parse(text)).toEqual(withoutDefaults(JSON.parse(serialiseMessage(parsed.message)), text));
  }
});

/** The one default: an example may leave the encoding of a piece of output out. */
function withoutDefaults(written: { payload: { step?: { output?: { encoding?: string } } } }, text: string): unknown {
  if (!text.includes('"encoding"')) delete written.payload.step?.output?.encoding;
  return written;
}

test("every invalid example is followed by the answer that it gets", () => {
  const invalid = blocks.flatMap(({ language, mark }, at) => (language === "json" && mark === "invalid" ? [at] : []));

  expect(invalid.length).toBeGreaterThanOrEqual(2);
  for (const at of invalid) {
    const parsed = parseMessage(blocks[at]?.text ?? "");
    const answer = JSON.parse(blocks[at + 1]?.text ?? "") as Message;
    if (parsed.ok) throw new Error("the example is valid");

    expect(answer.payload).toEqual({
      error_code: parsed.error_code,
      error_message: parsed.faults.map(({ field, message }) => `${field} ${message}`).join("; "),
      failed_message_id: parsed.remains.message_id,
      ...(parsed.remains.task_id === undefined ? {} : { task_id: parsed.remains.task_id }),
    });
    expect(answer).toMatchObject({
      type: "error",
      to_agent: parsed.remains.from_agent,
      trace_id: parsed.remains.trace_id,
      request_id: parsed.remains.request_id,
    });
  }
});

test("the page has all four types, hand back, cancel, and nothing but JSON for examples", () => {
  const types = blocks.flatMap(({ mark, text }) => (mark === "" ? [(JSON.parse(text) as Message).type] : []));
  const said = blocks.filter(({ mark }) => mark === "").map(({ text }) => (JSON.parse(text) as Message).payload);

  expect(new Set(types)).toEqual(new Set(["work_request", "work_status", "work_result", "error"]));
  expect(said.map((payload) => ("status" in payload ? payload.status : ""))).toEqual(
    expect.arrayContaining(["approved", "cancelled", "executing", "completed", "failed"]),
  );
  expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(["json"]));
});

test("the table of error codes on the page is the library's", () => {
  expect(page).toContain(errorCodeTable());
});
