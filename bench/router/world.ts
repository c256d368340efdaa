import { readFileSync } from "node:fs";
import { join } from "node:path";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { parse } from "yaml";
import type { Routable } from "../../lib/router/score/routable.ts";
import { automaticQuality } from "./outcomes.ts";

/** The world that the router does not see: which kind a request truly is, and how well each agent does each kind. */

export type Labelled = { text: string; kind: string; work_type: string };
export type Ended = { succeeded: boolean; quality: number; seen: number; time_ms: number };
export type World = {
  definitions: Routable[];
  requests: Labelled[];
  /** The quality that an agent's work on a kind has on average: the oracle's knowledge. */
  expected: (agent: string, kind: string) => number;
  /** One piece of work done: its true quality, and what the control plane would see of it. */
  work: (agent: string, kind: string, random: () => number) => Ended;
};

type Skill = { success: number; craft: number; medianMs: number };

/** How often a failed attempt is worth another, as its agent says. */
const RETRYABLE = 0.3;
const MAX_ATTEMPTS = 3;

/** A generator of numbers from 0 to below 1, the same for the same seed. */
export function randomOf(seed: number): () => number {
  const generator = xoroshiro128plus(seed);
  return () => uniformFloat64(generator);
}

/** The agents and requests of the files beside this one, with skills drawn by the seed. */
export function worldOf(seed: number): World {
  const definitions = readDefinitions();
  const requests = readRequests();
  const kinds = [...new Set(requests.map(({ kind }) => kind))];
  const dice = randomOf(seed);
  const skills = new Map(
    definitions.flatMap((definition) =>
      kinds.map((kind) => [`${definition.name} ${kind}`, drawSkill(definition, kind, dice)]),
    ),
  );
  const skillOf = (agent: string, kind: string): Skill => {
    const skill = skills.get(`${agent} ${kind}`);
    if (skill === undefined) throw new Error(`nobody drew a skill of ${agent} for ${kind}`);
    return skill;
  };
  return {
    definitions,
    requests,
    expected: (agent, kind) => {
      const { success, craft } = skillOf(agent, kind);
      const failure = 1 - success;
      const tries = Array.from({ length: MAX_ATTEMPTS }, (_, attempt) => (failure * RETRYABLE) ** attempt);
      return tries.reduce((sum, reached) => sum + reached * success, 0) * craft;
    },
    work: (agent, kind, random) => {
      const { success, craft, medianMs } = skillOf(agent, kind);
      for (let attempt = 1; ; attempt++) {
        const succeeded = random() < success;
        if (!succeeded && attempt < MAX_ATTEMPTS && random() < RETRYABLE) continue;
        const quality = succeeded ? Math.min(1, Math.max(0, craft + 0.1 * (random() - 0.5))) : 0;
        const time_ms = Math.round(medianMs * 2 ** (2 * random() - 1));
        return { succeeded, quality, seen: automaticQuality(succeeded, attempt), time_ms };
      }
    },
  };
}

/**
 * Skills do not depend on triggers: of the agents that claim a kind some are good and some are not, and nothing in their files tells.
 * Who offers the work type without a word of claim to it in capabilities or triggers may still be able; mostly he is not.
 */
function drawSkill(definition: Routable, kind: string, random: () => number): Skill {
  const claims = CLAIMS[kind]?.includes(definition.name) ?? false;
  return {
    success: claims ? 0.45 + 0.53 * random() : 0.05 + 0.45 * random(),
    craft: claims ? 0.75 + 0.25 * random() : 0.5 + 0.4 * random(),
    medianMs: 60_000 * 2 ** (2 * random()),
  };
}

/** Who holds himself to be good at a kind, as his triggers say in words. */
const CLAIMS: Record<string, readonly string[]> = {
  "code.review": ["critic", "gatekeeper", "quality", "mason", "omni"],
  "code.test": ["tester", "quality", "mason", "omni"],
  "code.fix": ["patch", "mason", "tester", "omni"],
  "docs.write": ["scribe", "editor", "concierge", "digest", "omni"],
  "docs.translate": ["polyglot", "lingua", "editor", "omni"],
  "data.extract": ["tabula", "harvester", "ledger", "omni"],
  "data.report": ["ledger", "charts", "analyst", "omni"],
  "infra.check": ["watch", "operator", "sentinel", "omni"],
  "infra.deploy": ["pilot", "operator", "sentinel", "omni"],
  "research.find": ["scout", "scholar", "harvester", "omni"],
  "research.summarise": ["digest", "scholar", "analyst", "omni"],
  "support.reply": ["desk", "concierge", "polyglot", "omni"],
};

function readRequests(): Labelled[] {
  const kinds = parse(readFileSync(join(import.meta.dirname, "requests.yaml"), "utf8")) as Record<
    string,
    { named: string[]; vague: string[] }
  >;
  return Object.entries(kinds).flatMap(([kind, { named, vague }]) => [
    ...named.map((text) => ({ text, kind, work_type: kind })),
    ...vague.map((text) => ({ text, kind, work_type: `${kind.split(".")[0]}.task` })),
  ]);
}

function readDefinitions(): Routable[] {
  const agents = parse(readFileSync(join(import.meta.dirname, "agents.yaml"), "utf8")) as {
    name: string;
    work_types: string[];
    capabilities: string[];
    triggers: (string | { pattern: string })[];
  }[];
  return agents.map((agent) => ({
    ...agent,
    triggers: agent.triggers.map((trigger) => (typeof trigger === "string" ? { phrase: trigger } : trigger)),
    routable: true,
    routing: { projects: [], environments: [], languages: [], files: [], after: [] },
  }));
}
