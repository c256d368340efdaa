import { globSync, readFileSync } from "node:fs";

/** A fenced block of a page: its language, what stands after that, its text, and the line of its fence. */
export type Block = { language: string; mark: string; text: string; line: number };

/** The pages that people read, as paths from the root. */
export const PAGES: readonly string[] = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...globSync("docs/*.md").toSorted(),
];

/** The text of a page. */
export function textOf(page: string): string {
  return readFileSync(page, "utf8");
}

/** The fenced blocks of a page, in its order; empty where it has none. */
export function blocksOf(page: string): Block[] {
  const text = textOf(page);
  return [...text.matchAll(/^```(\S*) ?(.*)\n([\s\S]*?)^```$/gm)].map((found) => {
    const [, language = "", mark = "", body = ""] = found;
    return { language, mark, text: body, line: text.slice(0, found.index).split("\n").length };
  });
}

/** The lines of a page with their numbers, those of fenced blocks as empty ones. */
export function proseOf(page: string): { text: string; line: number }[] {
  let fenced = false;
  return textOf(page)
    .split("\n")
    .map((text, index) => {
      const fence = text.startsWith("```");
      if (fence) fenced = !fenced;
      return { text: fence || fenced ? "" : text, line: index + 1 };
    });
}

/** The anchors that GitHub makes of a page's headings: lower case, words joined by hyphens, other signs left out. */
export function anchorsOf(page: string): Set<string> {
  const headings = proseOf(page).flatMap(({ text }) => /^#+ (.*)$/.exec(text)?.[1] ?? []);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}
