// The ages are kept here and not by lru-cache, which saves two lines and brings 19 kB to a bundle that has none of it.
import type { KillSwitch } from "../config/kill-switch.ts";
import type { findRules } from "./queries.ts";

/** What must be known before a call. `known` is false where the database did not tell. */
export type TaskRules = { external: boolean; localOnly: boolean; known: boolean; projectId: string | null };

type Row = Awaited<ReturnType<typeof findRules>>;

const FRESH_MS = 1_000;
const MOST = 10_000;

/**
 * What tasks say of their calls, by the task's id (null: a call without one), believed for a second. `read` asks the database;
 * where it fails `onError` is told, and what a task said once it says still: its marks do not change.
 */
export function rulesBook(
  read: (taskId: string | null) => Promise<Row>,
  killSwitch: KillSwitch,
  now: () => number,
  onError: (error: unknown) => void,
): (taskId: string | null) => Promise<TaskRules> {
  const kept = new Map<string | null, { rules: Omit<TaskRules, "external">; at: number }>();
  // The switch is always as it was last seen, whoever has seen it.
  const withSwitch = (rules: Omit<TaskRules, "external">) => ({ ...rules, external: killSwitch.external() });
  return async (taskId) => {
    const before = kept.get(taskId);
    if (before !== undefined && now() - before.at < FRESH_MS) return withSwitch(before.rules);
    try {
      const row = await read(taskId);
      killSwitch.told(row?.external ?? true);
      const rules = { localOnly: row?.privacy === "local-only", known: true, projectId: row?.projectId ?? null };
      if (kept.size > MOST) kept.clear();
      kept.set(taskId, { rules, at: now() });
      return withSwitch(rules);
    } catch (error) {
      onError(error);
      return withSwitch(before?.rules ?? { localOnly: false, known: taskId === null, projectId: null });
    }
  };
}
