import { expect, test } from "vitest";
import type { Surroundings } from "../../../lib/llm/config/schema.ts";
import { parseWithSecrets } from "../../../lib/llm/config/secrets.ts";

const text = `providers:
  a: { type: openai, base_url: "http://127.0.0.1:1", key: "\${secret:one}" }
  b:
    type: openai
    base_url: "http://127.0.0.1:1"
    key: \${env:NOPE|secret:two}
  c: { type: openai, base_url: "http://127.0.0.1:1", key: "\${env:SET|secret:three}" }
  d: { type: openai, base_url: "http://127.0.0.1:1", key: "\${secret:four}", optional: true }
models:
  m: { provider: d, id: m, window: 1, price: 0 }
  n: { provider: c, id: n, window: 1, price: 0 }
chains:
  both: { models: [m, n] }
`;
const around: Surroundings = { env: { SET: "x" }, secrets: true, priced: () => true };

/** Secrets Manager as it answers: `failing` are secrets by the name of the error. */
const manager =
  (failing: Record<string, string>, asked: string[] = []) =>
  async (name: string) => {
    asked.push(name);
    if (failing[name] !== undefined) throw Object.assign(new Error("no"), { name: failing[name] });
    return "a key";
  };
const absent = "ResourceNotFoundException";

test("every secret that cannot be read is a fault with its line, beside the other faults", async () => {
  const asked: string[] = [];
  const ghost = text.replace("[m, n]", "[m, ghost]");

  const parsed = await parseWithSecrets(ghost, around, manager({ one: absent, two: "TimeoutError" }, asked));

  expect(parsed.ok ? [] : parsed.faults).toEqual([
    { line: 2, message: expect.stringMatching(/provider a: .*the secret one cannot be read \(ResourceNotFound/) },
    { line: 6, message: expect.stringMatching(/provider b: .*no NOPE, and the secret two cannot be read \(Timeout/) },
    { line: 13, message: expect.stringMatching(/ghost, which is not registered/) },
  ]);
  expect(asked.toSorted()).toEqual(["four", "one", "two"]);
});

test("an optional provider whose secret is absent is left out, with a warning at its line", async () => {
  const parsed = await parseWithSecrets(text, around, manager({ four: absent }));

  expect(parsed.ok && parsed.config.chains.get("both")?.models.map(({ name }) => name)).toEqual(["n"]);
  expect(parsed.warnings).toEqual([{ line: 8, message: expect.stringMatching(/provider d is left out: .*four/) }]);
});

test("an optional provider stays where Secrets Manager does not answer, with a warning", async () => {
  const parsed = await parseWithSecrets(text, around, manager({ four: "TimeoutError" }));

  expect(parsed.ok && parsed.config.chains.get("both")?.models.map(({ name }) => name)).toEqual(["m", "n"]);
  expect(parsed.warnings).toEqual([{ line: 8, message: expect.stringMatching(/four cannot be read now \(Timeout/) }]);
});

test("where everything can be read nothing is said", async () => {
  expect(await parseWithSecrets(text, around, manager({}))).toMatchObject({ ok: true, warnings: [] });
});

test.each([
  ["prod", "waybill/prod/llm/one"],
  [undefined, "waybill/dev/llm/one"],
])("the stage in the name of a secret: %o", async (stage, name) => {
  const staged = text.replace("secret:one", () => "secret:waybill/$stage/llm/one");
  const env = stage === undefined ? around.env : { ...around.env, WAYBILL_STAGE: stage };
  const asked: string[] = [];

  const parsed = await parseWithSecrets(staged, { ...around, env }, manager({ [name]: absent }, asked));

  expect(asked).toContain(name);
  expect(parsed.ok ? [] : parsed.faults).toMatchObject([
    { message: expect.stringContaining(`the secret ${name} cannot`) },
  ]);
});
