/**
 * The agents that the deployment knows by name. Each has a queue with its dead letter queue, two alarms, a policy and outputs; an agent
 * of yours is one more line here and `npm run generate`. Their queues' URLs share 4 KB with the rest of a function's environment: some
 * twenty agents. More than that are the registry's alone: docs/aws-reference.md.
 */
export const AGENTS = ["infra", "desktop", "code", "research"] as const;
