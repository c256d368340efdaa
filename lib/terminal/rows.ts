import { align, cut, GAP, lengthOf } from "./table.ts";

/** The longest cell, and how far a column of text is narrowed to make a table fit. */
const LONGEST = 60;
const NARROWEST = 16;

/**
 * Rows as text: a table under the names of its columns; where that does not fit into `width` characters, a few rows side by side, a
 * line a column; else one block a row.
 * Long text is cut, times are in UTC, milliseconds become readable, columns that are empty throughout are left out.
 */
export function showRows(rows: readonly Record<string, unknown>[], width = Number.POSITIVE_INFINITY): string {
  const names = Object.keys(rows[0] ?? {}).filter((name) => rows.some((row) => !isEmpty(row[name])));
  const columns = names.map((name) => columnOf(name, names, rows));
  narrow(columns, width);
  if (widthOf(columns) <= width) return table(columns);
  return sideBySide(columns, width) ?? blocks(names, rows, width);
}

type Column = { title: string; cells: string[]; width: number; fixed: boolean; right: boolean };

function columnOf(name: string, names: string[], rows: readonly Record<string, unknown>[]): Column {
  const cells = rows.map((row) => cut(showValue(name, row[name]), LONGEST));
  const title = titleOf(name, names);
  const right = rows.every((row) => isEmpty(row[name]) || typeof row[name] === "number");
  const fixed = right || name.endsWith("_id");
  return { title, cells, width: Math.max(...[title, ...cells].map(lengthOf)), fixed, right };
}

/** Takes from the widest column of text until all fit or nothing is left to take. */
function narrow(columns: Column[], width: number): void {
  let over = widthOf(columns) - width;
  while (over > 0) {
    const [widest] = columns.filter((column) => !column.fixed).toSorted((a, b) => b.width - a.width);
    if (widest === undefined || widest.width <= Math.max(NARROWEST, widest.title.length)) return;
    widest.width--;
    over--;
  }
}

function widthOf(columns: Column[]): number {
  return columns.reduce((sum, column) => sum + column.width + GAP.length, -GAP.length);
}

function table(columns: Column[]): string {
  const rows = Array.from(columns[0]?.cells.keys() ?? [], (at) =>
    columns.map(({ cells, width }) => cut(cells[at] ?? "", width)),
  );
  const titles = columns.map(({ title }) => title);
  const rule = columns.map(({ width }) => "-".repeat(width));
  return align(
    [titles, rule, ...rows],
    columns.map(({ right }) => right),
  ).join("\n");
}

/** The rows side by side, a line a column; undefined where one alone is there, or there is too little room for each. */
function sideBySide(columns: Column[], width: number): string | undefined {
  const count = columns[0]?.cells.length ?? 0;
  const each = Math.floor((width - Math.max(...columns.map(({ title }) => lengthOf(title)))) / count) - GAP.length;
  const needed = columns.filter(({ fixed }) => fixed).map((column) => column.width);
  if (count === 1 || each < Math.max(NARROWEST, ...needed)) return undefined;
  return align(columns.map(({ title, cells }) => [title, ...cells.map((cell) => cut(cell, each))])).join("\n");
}

function blocks(names: string[], rows: readonly Record<string, unknown>[], width: number): string {
  const titles = names.map((name) => titleOf(name, names));
  const margin = Math.max(...titles.map(lengthOf)) + GAP.length;
  return rows
    .map((row, at) =>
      [
        `${at + 1}. ${"-".repeat(margin)}`,
        ...names.map(
          (name, place) => (titles[place] ?? "").padEnd(margin) + cut(showValue(name, row[name]), width - margin),
        ),
      ].join("\n"),
    )
    .join("\n");
}

/** Durations are shown with their unit, so their names need none, unless another column then had the same. */
function titleOf(name: string, names: string[]): string {
  const short = name.replace(/_ms$/, "");
  return short !== name && names.includes(short) ? `${short}_time` : short;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined;
}

function showValue(name: string, value: unknown): string {
  if (isEmpty(value)) return "-";
  if (typeof value === "number") return name.endsWith("_ms") ? showDuration(value) : String(value);
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return oneLine(value.join(", "));
  if (typeof value !== "string") return oneLine(JSON.stringify(value));
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) ? value.slice(0, 19).replace("T", " ") : oneLine(value);
}

/** What agents and callers wrote must not move the cursor or colour the terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
}

/** Milliseconds in the two units that matter: 84 ms, 1.3 s, 2 min 5 s, 1 d 3 h. */
export function showDuration(ms: number): string {
  if (ms < 0) return `-${showDuration(-ms)}`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(ms / 60_000);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(ms / 3_600_000);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
