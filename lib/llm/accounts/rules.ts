// The ages are kept here and not by lru-cache, which saves two lines and brings 19 kB to a bundle that has none of it.
import type { KillSwitch } from "../config/kill-switch.ts";
import type { findRules } from "./queries.ts";

/** What must be known before a call. `known` is false where the database did not tell. */
export type TaskRules = { external: boolean; localOnly: boolean; known: boolean; projectId: string | null };

/** The task of a call, of the team whose call it is; null for one without. */
export type OfTeam = { teamId: string | null; taskId: string | null };

type Row = Awaited<ReturnType<typeof findRules>>;

const FRESH_MS = 1_000;
const MOST = 10_000;

/**
 * What tasks say of their calls, by team and task, believed for a second. `read` asks the database;
 * where it fails `onError` is told, and what a task said once it says still: its marks do not change.
 */
export function rulesBook(
  read: (of: OfTeam) => Promise<Row>,
  killSwitch: KillSwitch,
  now: () => number,
  onError: (error: unknown) => void,
): (of: OfTeam) => Promise<TaskRules> {
  const kept = new Map<string, { rules: Omit<TaskRules, "external">; at: number }>();
  // The switch is always as it was last seen, whoever has seen it.
  const withSwitch = (rules: Omit<TaskRules, "external">) => ({ ...rules, external: killSwitch.external() });
  return async (of) => {
    const { taskId } = of;
    const key = `${of.teamId} ${taskId}`;
    const before = kept.get(key);
    if (before !== undefined && now() - before.at < FRESH_MS) return withSwitch(before.rules);
    try {
      const row = await read(of);
      killSwitch.told(row?.external ?? true);
      const rules = { localOnly: row?.privacy === "local-only", known: true, projectId: row?.projectId ?? null };
      if (kept.size > MOST) kept.clear();
      kept.set(key, { rules, at: now() });
      return withSwitch(rules);
    } catch (error) {
      onError(error);
      return withSwitch(before?.rules ?? { localOnly: false, known: taskId === null, projectId: null });
    }
  };
}
