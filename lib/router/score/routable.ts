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

/** What is asked, named as on the wire. */
export type RouteRequest = {
  request_text: string;
  work_type?: string | undefined;
  to_agent?: string | undefined;
  project_id?: string | undefined;
  hints?: Readonly<Record<string, unknown>> | undefined;
  /** The agent of hints.parent_task_id, which the caller of the router looks up. */
  parent_agent?: string | undefined;
  /** Required beside hints.capabilities: what a hand-over asks for. */
  capabilities?: readonly string[] | undefined;
  /** Never chosen unless to_agent names them: who hands over does not get its work back. */
  exclude?: readonly string[] | undefined;
};

/** The work types that a definition names, as for the approval policy: a last `*` stands for anything. */
export function offers(rule: string, workType: string): boolean {
  return rule.endsWith("*") ? workType.startsWith(rule.slice(0, -1)) : rule === workType;
}
