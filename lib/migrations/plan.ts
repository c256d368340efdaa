import { MigrationFault } from "../errors.ts";
import type { Migration } from "./files.ts";

/** A row of the ledger. */
export type Applied = { name: string; checksum: string; appliedAt: Date; durationMs: number };
/** How far: `to` names the last migration that is applied afterwards ("0" and "all": none, when going down). */
export type Reach = { to?: string | undefined; step?: number | undefined };

/** Why this database must not be migrated with these files, each with what to do; empty where it may. */
export function faultsBetween(migrations: Migration[], applied: Applied[]): string[] {
  const files = new Map(migrations.map((migration) => [migration.name, migration]));
  const last = applied.at(-1)?.name ?? "";
  const rows = new Set(applied.map(({ name }) => name));
  return [
    ...applied
      .filter(({ name }) => !files.has(name))
      .map(({ name }) => `${name} is applied but its files are gone. Bring them back: git log -- '*${name}*'.`),
    ...applied
      .filter(({ name, checksum }) => files.has(name) && files.get(name)?.checksum !== checksum)
      .map(
        ({ name }) => `${name} has changed since it was applied. Put it back and write the change as a new migration.`,
      ),
    ...migrations
      .filter(({ name }) => name < last && !rows.has(name))
      .map(({ name }) => `${name} is not applied, but the later ${last} is. Renumber it to come after ${last}.`),
  ];
}

/** The migrations to apply, in order, where the first `level` are applied. A target that is applied already means none. */
export function planUp(migrations: Migration[], level: number, { to, step }: Reach): Migration[] {
  const target = to === undefined ? level + (step ?? migrations.length) : numberOf(migrations, to);
  return migrations.slice(level, Math.max(level, target));
}

/** The migrations to take back, latest first, where the first `level` are applied; one unless told otherwise. */
export function planDown(migrations: Migration[], level: number, { to, step = 1 }: Reach): Migration[] {
  const target = to === undefined ? Math.max(0, level - step) : downTo(migrations, to);
  return migrations.slice(target, level).toReversed();
}

/**
 * The migrations to print. Without a database up starts from nothing and down from everything; `step` together with `to`
 * counts from that target, so that to: "0002", step: 1 is 0002 alone.
 */
export function planPrint(migrations: Migration[], direction: "up" | "down", { to, step }: Reach): Migration[] {
  if (to === undefined || step === undefined) {
    return direction === "up"
      ? planUp(migrations, 0, { to, step })
      : planDown(migrations, migrations.length, { to, step });
  }
  const target = direction === "up" ? numberOf(migrations, to) : downTo(migrations, to);
  if (direction === "up") return migrations.slice(Math.max(0, target - step), target);
  return migrations.slice(target, target + step).toReversed();
}

function downTo(migrations: Migration[], to: string): number {
  return to === "all" || /^0+$/.test(to) ? 0 : numberOf(migrations, to);
}

/** How many migrations are applied when `to`, a name or a number, is the last of them. */
function numberOf(migrations: Migration[], to: string): number {
  const prefix = /^\d{1,4}$/.test(to) ? `${to.padStart(4, "0")}_` : undefined;
  const index = migrations.findIndex(({ name }) => (prefix === undefined ? name === to : name.startsWith(prefix)));
  if (index >= 0) return index + 1;
  throw new MigrationFault([
    `There is no migration ${to}. There are: ${migrations.map(({ name }) => name).join(", ")}.`,
  ]);
}
