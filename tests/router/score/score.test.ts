import fc from "fast-check";
import { expect, test } from "vitest";
import { choose } from "../../../lib/router/decide/choice.ts";
import type { Availability, Decision, Ranking } from "../../../lib/router/score/decision.ts";
import type { Performance } from "../../../lib/router/score/fading.ts";
import { buildHistory } from "../../../lib/router/score/historical.ts";
import type { Routable, RouteRequest } from "../../../lib/router/score/routable.ts";
import { buildIndex, score } from "../../../lib/router/score/score.ts";
import { routerSettings } from "../../../lib/router/settings.ts";
import { readSettings } from "../../../lib/runtime/settings.ts";

const DAY = 86_400_000;
const NOW = 1_800_000_000_000;
const EVERYBODY_THERE: Availability = new Map();
/** No request is used for a trial. */
const defaults = readSettings(routerSettings, { ROUTER_EXPLORE: "0" });

function agent(
  name: string,
  more: Partial<Omit<Routable, "routing">> & { routing?: Partial<Routable["routing"]> } = {},
): Routable {
  const { routing, ...rest } = more;
  return {
    name,
    triggers: [],
    capabilities: [],
    work_types: [],
    routable: true,
    routing: { projects: [], environments: [], languages: [], files: [], after: [], ...routing },
    ...rest,
  };
}

function outcomes(name: string, work_type: string, count: number, rate: number, ms = 1000): Performance {
  const sums = { weight: count, success_sum: count * rate, quality_weight: count, quality_sum: count * rate };
  return { agent: name, work_type, ...sums, time_weight: count, time_ms_sum: count * ms, observed_at: NOW };
}

function rank(
  definitions: Routable[],
  request: RouteRequest,
  performance: Performance[] = [],
  settings = defaults,
  now = NOW,
): Ranking {
  return score(buildIndex(definitions), buildHistory(performance, 14 * DAY), request, settings, now);
}

function decide(
  definitions: Routable[],
  request: RouteRequest,
  {
    performance = [] as Performance[],
    availability = EVERYBODY_THERE,
    settings = defaults,
    dice = 0.5,
    now = NOW,
  } = {},
): Decision {
  return choose(rank(definitions, request, performance, settings, now), request, availability, settings, dice);
}

function partsOf(definition: Routable, request: RouteRequest) {
  const [candidate] = rank([definition], request).candidates;
  return candidate?.parts;
}

const PHRASES = ["run the tests", "review code", "translate", "deploy to production", "write a report", "fix the bug"];
const TYPES = ["code.test", "code.review", "docs.write", "infra.deploy"];
const Definitions = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 8 }).chain((names) =>
  fc.tuple(
    ...names.map((name) =>
      fc
        .record({
          phrases: fc.subarray(PHRASES),
          work_types: fc.subarray([...TYPES, "code.*", "*"]),
          capabilities: fc.subarray(["git", "shell", "web"]),
          environments: fc.subarray(["production", "staging"]),
        })
        .map(({ phrases, environments, ...rest }) =>
          agent(name, { ...rest, triggers: phrases.map((phrase) => ({ phrase })), routing: { environments } }),
        ),
    ),
  ),
);
const Requests: fc.Arbitrary<RouteRequest> = fc.record(
  {
    request_text: fc.oneof(fc.constantFrom(...PHRASES, "please run all tests", "revew the code"), fc.string()),
    work_type: fc.constantFrom(...TYPES),
    hints: fc.record({
      environment: fc.constantFrom("production", "staging"),
      capabilities: fc.subarray(["git", "web"]),
    }),
  },
  { requiredKeys: ["request_text"] },
);
const Weights = fc
  .array(fc.integer({ min: 0, max: 100 }), { minLength: 4, maxLength: 4 })
  .filter((parts) => parts.some((part) => part > 0))
  .map((parts) => parts.map((part) => part / parts.reduce((sum, one) => sum + one, 0)))
  .map(([trigger = 0, context = 0, capability = 0, historical = 0]) => ({ trigger, context, capability, historical }));
const Histories = fc.array(
  fc.record({
    name: fc.stringMatching(/^[a-z]{1,6}$/),
    type: fc.constantFrom(...TYPES),
    count: fc.nat(500),
    rate: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
);

test("every part and every confidence is from 0 to 1, and the confidence is the weighted sum", () => {
  fc.assert(
    fc.property(Definitions, Requests, Weights, Histories, (definitions, request, weights, histories) => {
      const performance = histories.map(({ name, type, count, rate }) => outcomes(name, type, count, rate));
      const { candidates } = rank(definitions, request, performance, { ...defaults, weights });
      for (const { parts, confidence } of candidates) {
        for (const part of Object.values(parts)) expect(part).toSatisfy((value: number) => value >= 0 && value <= 1);
        const sum =
          weights.trigger * parts.trigger +
          weights.context * parts.context +
          weights.capability * parts.capability +
          weights.historical * parts.historical;
        expect(confidence).toBeCloseTo(sum, 8);
        expect(confidence).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test("the order of the definitions and of what is known changes nothing", () => {
  fc.assert(
    fc.property(Definitions, Requests, Histories, fc.integer(), (definitions, request, histories, seed) => {
      const performance = [...new Map(histories.map((one) => [`${one.name} ${one.type}`, one])).values()].map((one) =>
        outcomes(one.name, one.type, one.count, one.rate),
      );
      const turned = <T>(list: T[]) => list.toSorted((a, b) => (JSON.stringify(a) + seed < JSON.stringify(b) ? 1 : -1));
      const there = decide(definitions, request, { performance });
      const back = decide(turned(definitions), request, { performance: turned(performance) });
      expect(back.agent).toBe(there.agent);
      expect(back.confidence).toBeCloseTo(there.confidence, 8);
    }),
  );
});

test("an agent that has nothing to do with the request does not change who is chosen", () => {
  fc.assert(
    fc.property(Definitions, Requests, fc.stringMatching(/^[a-z]{1,6}$/), (definitions, request, name) => {
      const before = decide(definitions, { ...request, work_type: "code.test" });
      const stranger = agent(`0${name}`, { work_types: ["garden.*"], triggers: [{ phrase: "water the plants" }] });
      const after = decide([...definitions, stranger], { ...request, work_type: "code.test" });
      expect(after).toEqual(before);
    }),
  );
});

test("who is absent is never chosen but by name; who is at a limit only where nobody with room would do", () => {
  const unavailable = fc.record({
    kind: fc.constantFrom("absent" as const, "limit" as const),
    reason: fc.constant("so"),
  });
  fc.assert(
    fc.property(Definitions, Requests, fc.array(fc.option(unavailable)), (definitions, request, states) => {
      const availability = new Map(
        definitions.flatMap(({ name }, at) => (states[at] ? [[name, states[at]] as const] : [])),
      );
      const { candidates } = rank(definitions, request);
      const decision = decide(definitions, request, { availability });
      const state = availability.get(decision.agent ?? "");
      const withRoom = candidates.filter((one) => one.confidence >= defaults.threshold && !availability.has(one.agent));
      expect(state?.kind).not.toBe("absent");
      expect(state?.kind === "limit" && withRoom.length > 0).toBe(false);
      const first = definitions[0]?.name ?? "";
      const named = decide(definitions, { ...request, to_agent: first }, { availability });
      expect(named).toMatchObject({ agent: first, strategy: "explicit" });
    }),
  );
});

test("every reason is one sentence", () => {
  fc.assert(
    fc.property(Definitions, Requests, fc.double({ min: 0, max: 0.99, noNaN: true }), (definitions, request, dice) => {
      const { reason } = decide(definitions, { ...request, request_text: "x" }, { dice });
      expect(reason).toMatch(/^[^\n]+[^.]\.$/);
      expect(reason).not.toMatch(/\. /);
    }),
  );
});

test("ties go to the name that comes first", () => {
  const twin = { triggers: [{ phrase: "run tests" }], work_types: ["code.*"] };
  const decision = decide([agent("zoe", twin), agent("abe", twin), agent("max", twin)], {
    request_text: "run tests",
    work_type: "code.run",
  });
  expect(decision).toMatchObject({ agent: "abe", strategy: "scored" });
  expect(decision.alternatives.map(({ agent: other }) => other)).toEqual(["max", "zoe"]);
});

test("the one agent that names the work type gets it without a threshold, however little else fits", () => {
  const definitions = [
    agent("infra", { work_types: ["infra.*"] }),
    agent("omni", { work_types: ["*"], triggers: [{ phrase: "look" }] }),
  ];
  const settings = readSettings(routerSettings, { ROUTER_THRESHOLD: "0.99" });
  const decision = decide(definitions, { request_text: "look", work_type: "infra.check" }, { settings });
  expect(decision).toMatchObject({
    agent: "infra",
    strategy: "work_type",
    reason: "infra alone names the work type infra.check.",
  });
});

test.each([
  [
    "is at a limit",
    { kind: "limit", reason: "full" },
    {},
    "infra alone of those that can take work now names the work type infra.check.",
  ],
  [
    "is away",
    { kind: "absent", reason: "gone" },
    {},
    "infra alone of those that can take work now names the work type infra.check.",
  ],
  ["hands it over", undefined, { exclude: ["ops"] }, "infra alone of the others names the work type infra.check."],
] as const)("the reason is true where another agent that names the work type %s", (_, state, more, reason) => {
  const definitions = [agent("infra", { work_types: ["infra.*"] }), agent("ops", { work_types: ["infra.check"] })];
  const availability: Availability = new Map(state === undefined ? [] : [["ops", state]]);

  const decision = decide(definitions, { request_text: "look", work_type: "infra.check", ...more }, { availability });

  expect(decision).toMatchObject({ agent: "infra", strategy: "work_type" });
  expect(decision.reason.split(";")[0]?.replace(/\.?$/, ".")).toBe(reason);
});

test("who is left where the others cannot take work now is not called the only one that offers it", () => {
  const definitions = [
    agent("a", { triggers: [{ phrase: "knit a scarf" }] }),
    agent("b", { triggers: [{ phrase: "knit a scarf" }] }),
  ];
  const reason = (availability: Availability) =>
    decide(definitions, { request_text: "knit a scarf" }, { availability }).reason;

  expect(reason(new Map([["b", { kind: "limit", reason: "full" }]]))).toContain(
    "and no other agent that can take work now offers this work",
  );
});

test.each([
  ["**/*.ts", "a.ts", true],
  ["**/*.ts", "src/deep/A.TS", true],
  ["**/*.ts", "./src/a.ts", true],
  ["**/*.ts", "src/a.tsx", false],
  ["*.md", "docs/a.md", false],
  ["src/**", "src/.hidden/a", true],
  ["src/**", "other/src/a", false],
  ["**/Makefile", "Makefile", true],
  ["a/**/b/*", "a/x/y/b/c", true],
  ["a/**/b/*", "a/b/c", true],
  ["*.[jt]s", "a.js", true],
  ["a?.{c,h}", "ab.h", true],
  ["a?.{c,h}", "ab.o", false],
])("the glob %s against %s", (glob, path, matches) => {
  const definitions = [agent("a", { routing: { files: [glob] } })];

  const { candidates } = rank(definitions, { request_text: "x", hints: { files: [path] } });

  expect(candidates[0]?.parts.context).toBe(matches ? 1 : 0);
});

test("no glob holds up the router: one that would take a backtracking engine minutes is matched at once", () => {
  const files = [
    `${"*a".repeat(30)}*b`,
    "{a,a}".repeat(18),
    `${"**/a/".repeat(15)}b`,
    "(a|a)*(a|a)*(a|a)*(a|a)*(a|a)*c",
  ];
  const definitions = [agent("a", { routing: { files } })];
  const paths = ["a".repeat(900), "a/".repeat(400), "a".repeat(17)];

  const { candidates } = rank(definitions, { request_text: "x", hints: { files: paths } });

  expect(candidates[0]?.parts.context).toBe(0);
});

test("below the threshold the fallback agent gets it, and without one nobody, with the alternatives told", () => {
  const definitions = [agent("a"), agent("b"), agent("clerk", { routable: false })];
  const request = { request_text: "knit a scarf", work_type: "craft.knit" };
  expect(decide(definitions, request)).toMatchObject({
    agent: null,
    confidence: 0,
    strategy: "none",
    alternatives: [{ agent: "a" }, { agent: "b" }],
  });
  const settings = readSettings(routerSettings, { ROUTER_FALLBACK_AGENT: "clerk" });
  expect(decide(definitions, request, { settings })).toMatchObject({ agent: "clerk", strategy: "fallback" });
});

test("a fallback agent that cannot take the work is in the reason, and one that hands it over is not", () => {
  const definitions = [agent("a"), agent("clerk", { routable: false })];
  const request = { request_text: "knit a scarf", work_type: "craft.knit" };
  const settings = readSettings(routerSettings, { ROUTER_FALLBACK_AGENT: "clerk" });
  const availability: Availability = new Map([["clerk", { kind: "absent", reason: "no sign of life" }]]);

  expect(decide(definitions, request, { settings, availability })).toMatchObject({
    agent: null,
    reason:
      "no agent reaches the threshold of 0.40 and the fallback agent clerk is passed over: no sign of life, so the work waits for a person.",
  });
  expect(decide([agent("a")], request, { settings }).reason).toContain("names clerk, which is no active agent");
  expect(decide(definitions, { ...request, exclude: ["clerk"] }, { settings }).reason).toBe(
    "no agent reaches the threshold of 0.40, so the work waits for a person.",
  );
});

test("an agent that is not routable, does not offer the work or hands it over is not chosen unless it is named", () => {
  const triggers = [{ phrase: "do it" }];
  const definitions = [
    agent("orchestrator", { triggers, routable: false }),
    agent("docs", { triggers, work_types: ["docs.*"] }),
    agent("giver", { triggers }),
    agent("taker", { triggers }),
  ];
  const request = { request_text: "do it", work_type: "code.run", exclude: ["giver"] };
  expect(rank(definitions, request).candidates.map((one) => one.agent)).toEqual(["taker"]);
  expect(decide(definitions, { ...request, to_agent: "giver" })).toMatchObject({
    agent: "giver",
    strategy: "explicit",
  });
});

test("what a handover asks for is required, what hints ask for counts in the score", () => {
  const agents = [agent("ada", { capabilities: ["Letters", "poems"] }), agent("bob", { capabilities: ["letters"] })];
  const ranked = (request: RouteRequest) =>
    rank(agents, request)
      .candidates.map((candidate) => candidate.agent)
      .toSorted();

  expect(ranked({ request_text: "write", capabilities: ["POEMS", "letters"] })).toEqual(["ada"]);
  expect(ranked({ request_text: "write", capabilities: ["songs"] })).toEqual([]);
  expect(ranked({ request_text: "write", hints: { capabilities: ["poems"] } })).toEqual(["ada", "bob"]);
});

test("who is passed over is named with the reason", () => {
  const triggers = [{ phrase: "deploy" }];
  const availability: Availability = new Map([
    ["ann", { kind: "limit", reason: "it has 2 of 2 pieces of work at once" }],
  ]);
  const decision = decide(
    [agent("ann", { triggers }), agent("bob", { triggers })],
    { request_text: "deploy" },
    { availability },
  );
  expect(decision.agent).toBe("bob");
  expect(decision.reason).toContain("ann is passed over: it has 2 of 2 pieces of work at once");
  expect(decision.alternatives[0]).toMatchObject({ agent: "ann", passed_over: "it has 2 of 2 pieces of work at once" });
});

test("triggers: a phrase, a pattern, all words apart, a typo and a part of the words count less and less", () => {
  const trigger = (triggers: Routable["triggers"], request_text: string) =>
    partsOf(agent("a", { triggers }), { request_text })?.trigger ?? -1;
  const phrase = [{ phrase: "review the pull request" }];
  expect(trigger(phrase, "Please REVIEW the pull requests of Ana!")).toBe(1);
  expect(trigger([{ pattern: "PR ?#\\d+" }], "look at pr #12")).toBe(1);
  expect(trigger(phrase, "pull the request for a review")).toBeCloseTo(0.9);
  const typo = trigger(phrase, "plese reveiw the pull request");
  const part = trigger(phrase, "a pull in the back");
  expect(typo).toBeGreaterThan(0.6);
  expect(typo).toBeLessThan(0.9);
  expect(part).toBeGreaterThan(0);
  expect(part).toBeLessThan(0.3);
  expect(trigger(phrase, "water the plants")).toBeLessThan(0.01);
  expect(trigger([{ phrase: "翻訳" }], "この文書を翻訳してください")).toBe(1);
});

test("work type and hints speak to triggers too", () => {
  const definition = agent("a", { triggers: [{ phrase: "code.review" }, { phrase: "security audit" }] });
  expect(partsOf(definition, { request_text: "x", work_type: "code.review" })?.trigger).toBe(1);
  expect(partsOf(definition, { request_text: "x", hints: { topic: ["security audit"] } })?.trigger).toBe(1);
});

test("context is the mean over what the request states; capability the share of what it needs", () => {
  const definition = agent("a", {
    capabilities: ["Git", "shell"],
    work_types: ["code.*"],
    routing: { environments: ["production"], languages: ["rust"], files: ["src/**/*.rs"], after: ["planner"] },
  });
  const context = (request: Partial<RouteRequest>) => partsOf(definition, { request_text: "x", ...request })?.context;
  expect(context({})).toBe(0.5);
  expect(context({ hints: { environment: "Production" } })).toBe(1);
  expect(context({ hints: { environment: "staging", language: "Rust" } })).toBe(0.5);
  expect(context({ hints: { files: ["src/a/b.rs", "README.md"] } })).toBe(0.5);
  expect(context({ hints: { project: "atlas" } })).toBe(0.5);
  expect(context({ parent_agent: "planner" })).toBe(1);
  expect(context({ parent_agent: "tester", hints: { environment: 7 } })).toBe(0);
  const capability = (request: Partial<RouteRequest>) =>
    partsOf(definition, { request_text: "x", ...request })?.capability;
  expect(capability({})).toBe(0.5);
  expect(capability({ work_type: "code.run" })).toBe(1);
  expect(capability({ hints: { capabilities: ["git", "browser"] } })).toBe(0.5);
  expect(capability({ capabilities: ["SHELL"] })).toBe(1);
});

const rivals = [
  agent("steady", { triggers: [{ phrase: "run the tests" }], work_types: ["code.*"] }),
  agent("young", { triggers: [{ phrase: "run the tests" }], work_types: ["code.*"] }),
  agent("worded", { triggers: [{ phrase: "run the tests now" }], work_types: ["code.*"] }),
];
const testing = { request_text: "run the tests now", work_type: "code.test" };

test("few good outcomes do not beat many", () => {
  for (const few of [1, 2, 5]) {
    const performance = [outcomes("steady", "code.test", 200, 0.95), outcomes("young", "code.test", few, 1)];
    expect(decide(rivals.slice(0, 2), testing, { performance }).agent).toBe("steady");
  }
  const bad = [outcomes("steady", "code.test", 200, 0.3), outcomes("young", "code.test", 200, 0.95)];
  expect(decide(rivals.slice(0, 2), testing, { performance: bad }).agent).toBe("young");
});

test("many better outcomes outweigh a better score within the margin, and say so; few do not", () => {
  const triggers = [{ phrase: "run tests" }];
  const definitions = [
    agent("exact", { triggers, work_types: ["code.*"] }),
    agent("loose", { triggers: [{ phrase: "tests run daily" }], work_types: ["code.*"] }),
  ];
  const request = { request_text: "run tests", work_type: "code.test" };
  const known = (count: number) => [
    outcomes("exact", "code.test", 50, 0.4),
    outcomes("loose", "code.test", count, 0.97),
  ];
  const proven = decide(definitions, request, { performance: known(50) });
  expect(proven).toMatchObject({ agent: "loose", strategy: "scored", alternatives: [{ agent: "exact" }] });
  expect(proven.reason).toMatch(/near exact .* its 50 outcomes of this type are better/);
  expect(decide(definitions, request, { performance: known(10) }).agent).toBe("exact");
  const settings = readSettings(routerSettings, { ROUTER_MARGIN: "0", ROUTER_EXPLORE: "0" });
  expect(decide(definitions, request, { performance: known(50), settings }).agent).toBe("exact");
});

test("a share of the requests tries a little known agent near the best; the same request gets the same answer", () => {
  const performance = [outcomes("steady", "code.test", 100, 0.9)];
  const definitions = rivals.slice(0, 2);
  const settings = readSettings(routerSettings, { ROUTER_EXPLORE: "0.2" });
  const chosen = Array.from({ length: 500 }, (_, turn) =>
    decide(definitions, testing, { performance, settings, dice: turn / 500 }),
  );
  const tried = chosen.filter((one) => one.agent === "young");
  expect(tried.length).toBe(100);
  expect(tried[0]?.reason).toContain("is tried as little is known");
  expect(decide(definitions, testing, { performance, settings, dice: 0.31 })).toEqual(
    decide(definitions, testing, { performance, settings, dice: 0.31 }),
  );
  const known = [...performance, outcomes("young", "code.test", 30, 0.6)];
  const later = Array.from(
    { length: 100 },
    (_, turn) => decide(definitions, testing, { performance: known, settings, dice: turn / 100 }).agent,
  );
  expect(new Set(later)).toEqual(new Set(["steady"]));
});

test("what is known fades towards the prior", () => {
  const performance = [outcomes("steady", "code.test", 100, 1)];
  const after = (days: number) => {
    const { candidates } = rank(rivals.slice(0, 1), testing, performance, defaults, NOW + days * DAY);
    return candidates[0]?.parts.historical ?? Number.NaN;
  };
  const course = [0, 14, 28, 56, 112, 224, 2000].map(after);
  for (const [at, value] of course.slice(1).entries()) expect(value).toBeLessThan(course[at] ?? 0);
  expect(course.at(-1)).toBeCloseTo(0.5, 3);
  expect(after(0)).toBeGreaterThan(0.8);
});

test("what an agent has done of other types tells a little of a new type", () => {
  const performance = [outcomes("steady", "docs.write", 300, 0.98), outcomes("young", "docs.write", 300, 0.2)];
  const { candidates } = rank(rivals.slice(0, 2), testing, performance);
  expect(candidates.map((one) => one.agent)).toEqual(["steady", "young"]);
  expect(candidates[0]?.observations).toBe(0);
});

test("the faster of two equals comes first", () => {
  const performance = [
    outcomes("steady", "code.test", 50, 0.9, 60_000),
    outcomes("young", "code.test", 50, 0.9, 10_000),
  ];
  expect(decide(rivals.slice(0, 2), testing, { performance }).agent).toBe("young");
});
