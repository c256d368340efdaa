import { stripVTControlCharacters } from "node:util";

/** What stands between two columns. */
export const GAP = "  ";

/**
 * Rows of cells as lines, each column as wide as its widest cell, with two spaces between and none at the end; empty for no rows. The
 * columns whose place in `right` is true are set to the right. Colours take no width.
 */
export function align(rows: readonly (readonly string[])[], right: readonly boolean[] = []): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => lengthOf(row[column] ?? ""))));
  return rows.map((row) =>
    widths
      .map((width, column) => pad(row[column] ?? "", right[column] === true ? width : -width))
      .join(GAP)
      .trimEnd(),
  );
}

/**
 * Makes the lines of a table whose rows are printed as they come: a cell is filled with spaces to the width of its column, at its end
 * where the width is negative, as printf does. A cell past the last width stands as it is.
 */
export function lineOf(...widths: readonly number[]): (...cells: readonly string[]) => string {
  return (...cells) =>
    cells
      .map((cell, column) => pad(cell, widths[column] ?? 0))
      .join("")
      .trimEnd();
}

/** The text, cut to `longest` characters with an ellipsis as the last; never in the middle of a character. */
export function cut(text: string, longest: number): string {
  const characters = Array.from(text);
  return characters.length > longest ? `${characters.slice(0, Math.max(0, longest - 1)).join("")}…` : text;
}

/** How many characters a terminal shows of a text: colours do not count. */
export function lengthOf(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length;
}

function pad(text: string, width: number): string {
  const space = " ".repeat(Math.max(0, Math.abs(width) - lengthOf(text)));
  return width < 0 ? text + space : space + text;
}
