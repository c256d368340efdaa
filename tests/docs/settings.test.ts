import { expect, test } from "vitest";
import { envExample, settingsTables } from "../../bin/generate/settings.ts";
import { readAgentEnv } from "../../lib/agent-kit/transports/env.ts";

/** What the tables show as the default of a variable. */
const shown = (env: string) => new RegExp(`^\\| \`${env}\` \\| (.*?) \\|`, "m").exec(settingsTables())?.[1];

test("an example is not shown as a default, neither in the tables nor in .env.example", () => {
  expect(shown("WAYBILL_API_URL")).toBe("none, such as `http://127.0.0.1:3000`");
  expect(shown("BRIDGE_QUEUE_PREFIX")).toBe("none, such as `waybill-agent-`");
  expect(envExample()).toMatch(/Such as http:\/\/127\.0\.0\.1:3000\n#WAYBILL_API_URL=\n/);
});

test("a default that the code has is shown where the setting is optional", () => {
  const queues = { AGENT_QUEUE_URL: "http://127.0.0.1/q", RESULTS_QUEUE_URL: "http://127.0.0.1/r" };

  expect(shown("AGENT_CONCURRENCY")).toBe(`\`${readAgentEnv(undefined, queues).concurrency}\``);
  expect(shown("DATABASE_URL")).toBe("`postgres://waybill@127.0.0.1:54329/waybill`");
});

test("of two variables of which one is required, each says so", () => {
  expect(shown("AGENT_QUEUE_URL")).toMatch(/^one of `AGENT_QUEUE_URL` and `RABBITMQ_URL`/);
  expect(shown("RABBITMQ_URL")).toMatch(/^one of `RABBITMQ_URL` and `AGENT_QUEUE_URL`/);
  expect(envExample()).toContain("One of AGENT_QUEUE_URL and RABBITMQ_URL is required.");
});

test("every line of .env.example has its own words, which name what they are of", () => {
  const words = envExample().match(/^# (Of|See|Its|What its|Where its|Another .*likewise)\b.*$/gm);

  expect(words).toBeNull();
});
