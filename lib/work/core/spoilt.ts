import { Unavailable } from "../../errors.ts";

/** A piece of work that cannot be dealt with, and why: the others of its batch are. */
export type Spoilt = { taskId: string; error: unknown };

/** Whether the database refuses the work's data, and will again (SQLSTATE 22, 23, 54, P0), as against somebody holding its row. */
export function isRefused(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^(22|23|54|P0)...$/.test(code);
}

/**
 * Whether the error is about one piece of work: the database refuses its data, somebody holds its row (SQLSTATE 40, 55P03), or our
 * code fails on it. Otherwise the database is away or busy, and nothing is learnt about the work.
 */
export function isOfTheWork(error: unknown): boolean {
  if (error instanceof Unavailable) return false;
  const { code } = error as { code?: unknown };
  return typeof code !== "string" || isRefused(error) || /^(40|55P03|[a-z])/.test(code);
}
