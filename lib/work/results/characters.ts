/** The first characters of a text; a character outside the basic plane is one, and never cut in half. */
export function characters(text: string, count: number): string {
  return Array.from(text.slice(0, count * 2))
    .slice(0, count)
    .join("")
    .toWellFormed();
}
