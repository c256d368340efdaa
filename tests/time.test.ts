import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { deadline, within } from "../lib/time.ts";

const late = () => "late";

test("what is there in time is answered, and what fails in time is thrown", async () => {
  expect(await within(1_000, Promise.resolve(1), late)).toBe(1);
  await expect(within(1_000, Promise.reject(new Error("no")), late)).rejects.toThrow("no");
});

test("what is late is answered, or thrown, by the caller's own word", async () => {
  const slow = sleep(60_000, undefined, { ref: false });

  expect(await within(1, slow, late)).toBe("late");
  expect(await within(1, slow, async () => "late, after a while")).toBe("late, after a while");
  const refuse = () => {
    throw new Error("too late");
  };
  await expect(within(1, slow, refuse)).rejects.toThrow("too late");
});

test("a deadline that a blocked event loop has let pass is over only once what came meanwhile could be heard", async () => {
  const over = deadline(20);
  const inTime = deadline(60_000);
  for (const end = performance.now() + 1000; performance.now() < end; );
  await sleep(0);
  expect(over.aborted).toBe(false);

  await new Promise((resolve) => over.addEventListener("abort", resolve));
  expect([over.reason.name, inTime.aborted]).toEqual(["TimeoutError", false]);
  const next = deadline(1);
  await new Promise((resolve) => next.addEventListener("abort", resolve));
});

test("what fails once nobody waits for it any more is nobody's unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", listen);

  await within(
    1,
    sleep(20).then(() => Promise.reject(new Error("afterwards"))),
    late,
  );
  await sleep(60);

  process.off("unhandledRejection", listen);
  expect(unhandled).toEqual([]);
});
