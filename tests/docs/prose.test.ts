import { existsSync, globSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";
import { anchorsOf, PAGES, proseOf, textOf } from "./pages.ts";

const LANGUAGES = ["", "json", "mermaid", "sh", "sql", "text", "ts", "yaml"];

test.for(PAGES)("%s has lines of 100 characters at most, but for tables and code", (page) => {
  const long = proseOf(page).filter(({ text }) => !text.startsWith("|") && text.length > 100);

  expect(long.map(({ line, text }) => `${page}:${line} ${text}`)).toEqual([]);
});

test.for(PAGES)("%s links to what is there", (page) => {
  const prose = proseOf(page).map(({ text }) => text);
  const links = [...prose.join("\n").matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);

  const broken = links.filter((link) => !/^https?:/.test(link) && !leads(page, link));
  expect(broken).toEqual([]);
});

test.for(PAGES)("%s closes its blocks, and says of each what it is", (page) => {
  const fences = textOf(page)
    .split("\n")
    .filter((line) => line.startsWith("```"));
  const opening = fences.filter((_, index) => index % 2 === 0).map((fence) => fence.slice(3).split(" ")[0]);

  expect(fences.length % 2).toBe(0);
  expect(opening.filter((language) => !LANGUAGES.includes(language ?? ""))).toEqual([]);
});

test("docs/README.md lists every page and every document, each once", () => {
  const listed = [...textOf("docs/README.md").matchAll(/^(?:\| |- )\[([^\]]+)\]\(\1\)/gm)].map(([, name = ""]) => name);
  const there = globSync("docs/*.{md,json}").map((file) => basename(file));

  expect(listed).toHaveLength(new Set(listed).size);
  expect(new Set(listed)).toEqual(new Set(there.filter((name) => name !== "README.md")));
});

/** What readers make themselves. */
const TO_MAKE = ["agents/research.ts"];

test.for(PAGES)("%s names files and folders that are there", (page) => {
  const named = [
    ...withoutExample(page).matchAll(/`((?:lib|functions|localstack|bin|bench|tests|agents)\/[\w./-]*)`/g),
  ];
  const rows = [...textOf(page).matchAll(/^\| `([\w/-]+\/)` \|.*\| `([\w/.-]+\.ts)` \|$/gm)];
  const paths = [...named.map(([, path = ""]) => path), ...rows.map(([, folder, file]) => `${folder}${file}`)];

  const gone = paths.filter((path) => !existsSync(path) && !TO_MAKE.some((folder) => path.startsWith(folder)));
  expect(gone).toEqual([]);
});

test("README.md is short, and has the commands by which people and machines run the tests", () => {
  const text = textOf("README.md");

  expect(text.split("\n").length).toBeLessThan(120);
  expect(text).toContain("npm ci && npm run demo ");
  expect(text).toContain("npm ci && npm test ");
});

/** Whether a relative link leads to a file of this repository and, where it names one, to a heading of it. */
function leads(page: string, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : normalize(join(dirname(page), path));
  return existsSync(target) && (anchor === undefined || anchorsOf(target).has(anchor));
}

/** The prose of a page without the worked example, whose files are only to be made. */
function withoutExample(page: string): string {
  const prose = proseOf(page).map(({ text }) => text);
  return prose.join("\n").replace(/<!-- example:[^]*<!-- \/example -->/, "");
}
