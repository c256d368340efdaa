import type { Ask } from "../../work/core/router-seam.ts";

/** What the router reads of an agent's definition, with the defaults filled in; lists are empty where the file says nothing. */
export type Routable = {
  name: string;
  triggers: readonly ({ phrase: string } | { pattern: string })[];
  capabilities: readonly string[];
  /** `code.run`, `code.*` or `*`; empty: any work. */
  work_types: readonly string[];
  /** Only a source of work, never chosen, where false. */
  routable: boolean;
  routing: {
    projects: readonly string[];
    environments: readonly string[];
    languages: readonly string[];
    /** Globs. */
    files: readonly string[];
    /** Agents whose work it follows. */
    after: readonly string[];
  };
};

/** What is asked of the router, and what it has looked up for it. */
export type RouteRequest = Ask & {
  /** The agent of hints.parent_task_id. */
  parent_agent?: string | undefined;
};

/** Whether a rule of a definition is for this work type, as for the approval policy: a last `*` stands for anything. */
export function offers(rule: string, workType: string): boolean {
  return rule.endsWith("*") ? workType.startsWith(rule.slice(0, -1)) : rule === workType;
}
