import { expect, test } from "vitest";
import * as z from "zod";
import { whole } from "../../lib/input/whole.ts";
import { readSettings, setting } from "../../lib/runtime/settings.ts";

const settings = {
  leaseSeconds: setting({ env: "LEASE", takes: whole(1, 60), default: "30", unit: "seconds", says: "How long." }),
  queueUrl: setting({ env: "QUEUE", takes: z.url(), says: "Where to." }),
  fallback: setting({ env: "FALLBACK", takes: z.string(), optional: true, says: "Who else." }),
};

test("settings have names of the code, and values by their type", () => {
  const read = readSettings(settings, { LEASE: "45", QUEUE: "https://sqs.example/q", FALLBACK: "ada", OTHER: "x" });

  expect(read).toEqual({ leaseSeconds: 45, queueUrl: "https://sqs.example/q", fallback: "ada" });
});

test("what is not set, or empty, has its default; what is optional has none", () => {
  const read = readSettings(settings, { LEASE: "", QUEUE: "https://sqs.example/q" });

  expect(read).toEqual({ leaseSeconds: 30, queueUrl: "https://sqs.example/q", fallback: undefined });
});

test("every variable that is wrong or missing is named at once", () => {
  const read = () => readSettings(settings, { LEASE: "0x10" });

  expect(read).toThrow(/LEASE must be a whole number[^]*QUEUE/);
});

test("a default is a text as a person would write it: one that its type does not take is found at once", () => {
  const wrong = { many: setting({ env: "MANY", takes: whole(1, 9), default: "10", says: "Too many." }) };

  expect(() => readSettings(wrong, {})).toThrow(/MANY/);
});

test("a setting is required where it has neither a default nor leave to be missing", () => {
  expect(Object.values(settings).map(({ required }) => required)).toEqual([false, true, false]);
});
