import { expect, test } from "vitest";
import { MODES, SURFACES } from "../../support/llm/gateway.ts";
import { ANSWER } from "../../support/llm/vendor-stream.ts";
import { llmWorld } from "../../support/llm/world.ts";

// What breaks inside an answer: in a live stream, in one that is held until it is whole, by either client.

const { openai, vendor, db, ask } = await llmWorld();

const over = <T extends string>(...faults: T[]) =>
  SURFACES.flatMap((surface) => faults.map((fault) => [surface, fault] as const));
const streamed = SURFACES.flatMap((surface) => (["live", "whole"] as const).map((mode) => [surface, mode] as const));
const counts = (fault: string) => [vendor.of(`fb-${fault}`).length, vendor.of("fb-ok").length];
const roles = () => vendor.seen.map(({ body }) => body.messages.at(-1).role);

test.each(streamed)("S07 %s %s: a first token that is late goes to the next vendor", async (surface, mode) => {
  const got = await ask(`${surface}-${mode}-slow-first`, { surface, mode });

  expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
  expect(counts("slow-first")).toEqual([1, 1]);
  await expect.poll(() => vendor.of("fb-slow-first")[0]?.aborted).toBe(true);
});

const inside = ["cut", "cut-clean", "cut-token", "stall", "garbage", "error-inside", "event-huge"] as const;

test.each(over(...inside))(
  "S08-S10, S14 %s whole: %s in mid-answer fails over, and the answer is one vendor's from its first word",
  async (surface, fault) => {
    const got = await ask(`${surface}-whole-${fault}`, { surface, mode: "whole" });

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
    // A 529 inside the stream is an outage: once more on the same vendor, as for a 529 before it.
    expect(counts(fault)).toEqual([fault === "error-inside" ? 2 : 1, 1]);
    // No vendor is sent the beginning of another's answer to go on with.
    expect(new Set(roles())).toEqual(new Set(["user"]));
  },
);

test.each(over(...inside))(
  "S08-S10 %s live: %s in mid-answer is told as an error, never as a success",
  async (surface, fault) => {
    const got = await ask(`${surface}-live-${fault}`, { surface, mode: "live" });

    expect(got.ok).toBe(false);
    expect(got.text.length).toBeGreaterThan(0);
    expect(ANSWER.startsWith(got.text) && got.text !== ANSWER).toBe(true);
    expect(got.raw).toMatch(surface === "chat" ? /^data: \{"error":/m : /^event: error$/m);
    expect(got.raw).not.toMatch(/\[DONE\]|message_stop|"finish_reason":"stop"|end_turn/);
    expect(counts(fault)).toEqual([1, 0]);
    // What had come is accounted, by the words that had come.
    const chain = `${surface}-live-${fault}`;
    await expect
      .poll(
        async () =>
          await db`select outcome, usage_source, output_tokens > 0 as counted from llm_calls where chain = ${chain}`,
      )
      .toEqual([{ outcome: "cut", usageSource: "estimated", counted: true }]);
  },
);

test.each(over("error-first", "event-endless"))(
  "%s live: %s, before the first token, fails over to the next vendor",
  async (surface, fault) => {
    const got = await ask(`${surface}-live-${fault}`, { surface, mode: "live" });

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
    expect(vendor.of("fb-ok")).toHaveLength(1);
  },
);

test.each(over("no-done", "no-done-open"))(
  "S11 %s: a stream that ends like %s is finished without waiting for more, with its usage",
  async (surface, fault) => {
    const got = await ask(`${surface}-live-${fault}`, { surface, mode: "live" });

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: `fb-${fault}` });
    expect(got.usage).toMatchObject(surface === "chat" ? { total_tokens: 80 } : { output_tokens: 60 });
    expect(got.raw).toMatch(surface === "chat" ? /data: \[DONE\]\n\n$/ : /message_stop/);
    expect(counts(fault)).toEqual([1, 0]);
  },
);

test.each(over("drip"))(
  "%s: a slow stream is waited for, and its words come as they are said (%s)",
  async (surface) => {
    const got = await ask(`${surface}-live-drip`, { surface, mode: "live" });

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-drip" });
    expect(counts("drip")).toEqual([1, 0]);
  },
);

// What may wait in sockets on its way, on top of what the gateway takes before it hangs up.
const ON_ITS_WAY = 16_000_000;

test.each(over("event-endless", "event-huge"))(
  "%s: an event without end is hung up on at eight million characters (%s)",
  async (surface, fault) => {
    await ask(`${surface}-whole-${fault}`, { surface, mode: "whole" });

    await expect.poll(() => vendor.of(`fb-${fault}`)[0]?.sentBytes).toBeGreaterThan(7_000_000);
    for (const { aborted, sentBytes } of vendor.of(`fb-${fault}`)) {
      expect(aborted).toBe(true);
      expect(sentBytes).toBeLessThan(8_000_000 + ON_ITS_WAY);
    }
  },
);

test.each(SURFACES.flatMap((surface) => MODES.map((mode) => [surface, mode] as const)))(
  "%s %s: an answer without end is hung up on at 20 MB, and the next answers",
  async (surface, mode) => {
    const got = await ask(`${surface}-${mode}-huge`, { surface, mode });

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
    await expect.poll(() => vendor.of("fb-huge")[0]?.aborted).toBe(true);
    expect(counts("huge")).toEqual([1, 1]);
    expect(vendor.of("fb-huge")[0]?.sentBytes).toBeLessThan(20_000_000 + ON_ITS_WAY);
  },
);

test("a caller that goes away takes the vendor's call with it", async () => {
  const gone = new AbortController();
  const chunks = await openai.chat.completions.create(
    { model: "fb-endless", messages: [{ role: "user", content: "go" }], stream: true },
    { signal: gone.signal },
  );
  for await (const chunk of chunks) {
    if (chunk.choices[0]?.delta.content) break;
  }
  gone.abort();

  await expect.poll(() => vendor.of("fb-endless")[0]?.aborted).toBe(true);
  await expect
    .poll(
      async () => (await db`select outcome, usage_source, output_tokens from llm_calls where model = 'fb-endless'`)[0],
    )
    .toMatchObject({
      outcome: "aborted",
      usageSource: "estimated",
    });
});
