import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { ErrorClass } from "../../lib/llm/config/failure.ts";
import { SURFACES } from "../support/llm/gateway.ts";
import { ANSWER } from "../support/llm/vendor-stream.ts";
import { llmWorld } from "../support/llm/world.ts";

// What is marked local-only stays in the house, whoever fails and however. The local models are on /local of the vendors' server.

const { vendor, ask, rowsOf, newTask, openai } = await llmWorld();

/** A fault for every class; a call that we switched off ourselves is no vendor's fault. */
const FAULTS: Record<Exclude<ErrorClass, "switched_off">, string> = {
  rate_limit: "429",
  quota: "quota",
  auth: "401",
  not_found: "gone",
  context_window: "context",
  content_policy: "policy",
  bad_request: "bad",
  timeout: "silent",
  server_error: "503",
  network: "reset",
  cut_stream: "cut",
  bad_answer: "html",
};
const ANSWERED = { ok: true, text: ANSWER, model: "fb-home" };
const REFUSED = { ok: false, text: "", error: { status: 400 } };
/** What the caller is told of; after the others another model is asked. */
const STOPS = ["context_window", "content_policy", "bad_request"];

const outside = () => vendor.seen.filter(({ path }) => !path.startsWith("/local/")).map(({ path }) => path);
const cases = SURFACES.flatMap((surface) =>
  Object.entries(FAULTS).map(([errorClass, fault]) => [surface, errorClass, fault] as const),
);

test.each(cases)(
  "%s: a local-only call whose local model fails with %s stays in the house",
  async (surface, name, fault) => {
    const traceId = randomUUID();
    const headers = { "x-waybill-privacy": "local-only", "x-waybill-trace-id": traceId };

    const got = await ask(`l-${surface}-${fault}`, { surface, mode: "whole", headers });

    expect(outside()).toEqual([]);
    expect(vendor.of(`fb-${fault}`).length).toBeGreaterThan(0);
    expect(got).toMatchObject(STOPS.includes(name) ? REFUSED : ANSWERED);
    await expect.poll(async () => (await rowsOf(traceId))[0]).toMatchObject({ errorClass: name, external: false });
    expect((await rowsOf(traceId)).every(({ external }) => external === false)).toBe(true);
  },
);

test("without the mark the same chain leaves: the external model between the two local ones answers", async () => {
  const got = await ask("l-chat-html", { mode: "whole" });

  expect(got.model).toBe("fb-ok");
  expect(outside()).toEqual(["/v1/chat/completions"]);
});

test.each(cases)(
  "%s: a local-only call passes over the external model that would fail with %s",
  async (surface, _name, fault) => {
    const headers = { "x-waybill-privacy": "local-only" };

    const got = await ask(`h-${surface}-${fault}`, { surface, mode: "whole", headers });

    expect(got).toMatchObject(ANSWERED);
    expect(vendor.seen.map(({ path }) => path)).toEqual(["/local/v1/chat/completions"]);
  },
);

test("the calls of a local-only task never leave, and a chain without a local model refuses them", async () => {
  const headers = { "x-waybill-task-id": await newTask({ privacy: "local-only" }) };

  const answer = await ask("h-fb-flap", { headers });
  const refused = await ask("ok", { headers });

  expect(answer.model).toBe("fb-home");
  expect(refused.error).toMatchObject({ status: 400, code: "no_model_fits" });
  expect(outside()).toEqual([]);
});

test("embeddings of a local-only call do not leave either", async () => {
  const refused = await openai.embeddings
    .create({ model: "embed", input: "hello" }, { headers: { "x-waybill-privacy": "local-only" } })
    .catch((error: unknown) => error);

  expect(refused).toMatchObject({ status: 400, code: "no_model_fits" });
  expect(vendor.seen).toEqual([]);
});
