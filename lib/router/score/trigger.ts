// The fuzzy part is MiniSearch's radix tree, by its own entry point (MIT, kept up, 4 kB bundled): it finds the words within an edit distance. MiniSearch's
// ranking is left out, as BM25 has no upper bound and changes when other agents come. For 5,000 triggers and a text of 25 words with 13 typos, on this
// machine: the tree by first letter 0.08 ms, whole MiniSearch 10, fuzzysort 59, fuse.js 480; fastest-levenshtein over all words 2.8.
import SearchableMap from "minisearch/SearchableMap";
import { compilePattern } from "../../registry/patterns/pattern.ts";
import { type Word, weightOf, wordsOf } from "../../registry/patterns/words.ts";
import type { Routable } from "./routable.ts";

/** The best match of an agent's triggers, 0 to 1, and which it was, as its author wrote it. */
export type TriggerMatch = { score: number; matched?: string | undefined };

type Phrase = { agent: number; written: string; run: string; total: number };
type Pattern = { agent: number; written: string; regex: ReturnType<typeof compilePattern> };
type Posting = { phrase: number; weight: number };

/** All triggers, compiled. `agents` is how many definitions there are. */
export type TriggerIndex = {
  agents: number;
  phrases: readonly Phrase[];
  patterns: readonly Pattern[];
  /** Per stem, the phrases that have it. */
  postings: readonly (readonly Posting[])[];
  stems: ReadonlyMap<string, number>;
  /** The words as written, by their first letter, with the number of their stem. A typo is hardly ever in the first letter. */
  vocabulary: ReadonlyMap<string, SearchableMap<number>>;
};

/** What of a request's text is looked at: bounds the time that a long one, or an unlucky pattern, can take. */
const LONGEST_TEXT = 2_000;
/** Words that no trigger has are looked up with typos, which costs most: so many of them at most. */
const MOST_TYPOS = 48;
/** Longer than a word: MiniSearch counts in bytes, and a number of them is no typo. */
const LONGEST_WORD = 40;
/** All words of a phrase, but not one after the other. */
const SCATTERED = 0.9;

/** Compiles the triggers of all agents; `agent` in the answer of matchTriggers is the position in this list. */
export function indexTriggers(definitions: readonly Pick<Routable, "triggers">[]): TriggerIndex {
  const phrases: Phrase[] = [];
  const patterns: Pattern[] = [];
  const postings: Posting[][] = [];
  const stems = new Map<string, number>();
  const vocabulary = new Map<string, SearchableMap<number>>();
  for (const [agent, { triggers }] of definitions.entries()) {
    for (const trigger of triggers) {
      if ("pattern" in trigger) {
        patterns.push({ agent, written: trigger.pattern, regex: compilePattern(trigger.pattern) });
        continue;
      }
      const words = wordsOf(trigger.phrase);
      const distinct = new Map(words.map((word) => [word.stem, word]));
      let total = 0;
      for (const [stem, word] of distinct) {
        let id = stems.get(stem);
        if (id === undefined) {
          id = postings.push([]) - 1;
          stems.set(stem, id);
        }
        const letter = word.text.slice(0, 1);
        const tree = vocabulary.get(letter) ?? new SearchableMap<number>();
        vocabulary.set(letter, tree.set(word.text, id));
        const weight = weightOf(word);
        total += weight;
        postings[id]?.push({ phrase: phrases.length, weight });
      }
      if (total > 0) phrases.push({ agent, written: trigger.phrase, run: runOf(words), total });
    }
  }
  return { agents: definitions.length, phrases, patterns, postings, stems, vocabulary };
}

/**
 * The best trigger match of each agent, by its position; none: no match at all. A phrase whose words stand in the text one after the
 * other counts 1, as does a pattern; all its words elsewhere in the text 0.9; a part of them 0.9 times the square of that part, where
 * a word with a typo counts by its likeness. `texts` is all that a request says; patterns, which cost most, are tried for the agents
 * that are `asked`.
 */
export function matchTriggers(
  index: TriggerIndex,
  texts: readonly string[],
  asked: (agent: number) => boolean,
): Map<number, TriggerMatch> {
  const found = new Map<number, TriggerMatch>();
  const keep = (agent: number, score: number, matched: string) => {
    const before = found.get(agent);
    if (before === undefined || score > before.score) found.set(agent, { score, matched });
  };
  const seen = texts.map((text) => text.slice(0, LONGEST_TEXT));
  const fields = seen.map(wordsOf);
  const runs = fields.map(runOf);
  for (const [phrase, covered] of coverage(index, fields.flat())) {
    const one = index.phrases[phrase];
    if (one === undefined) continue;
    const share = Math.min(1, covered / one.total);
    const whole = share > 0.999 && runs.some((run) => run.includes(one.run));
    keep(one.agent, whole ? 1 : SCATTERED * share * share, one.written);
  }
  for (const { agent, written, regex } of index.patterns)
    if (found.get(agent)?.score !== 1 && asked(agent) && seen.some((text) => regex.test(text))) keep(agent, 1, written);
  return found;
}

/** How much of each phrase the words cover, in the weight of its words. */
function coverage(index: TriggerIndex, words: readonly Word[]): Map<number, number> {
  const likeness = new Map<number, number>();
  const distinct = new Map(words.map((word) => [word.text, word]));
  let typos = 0;
  for (const word of distinct.values()) {
    const id = index.stems.get(word.stem);
    if (id !== undefined) likeness.set(id, 1);
    else if (word.text.length >= 4 && ++typos <= MOST_TYPOS)
      for (const { stem: near, alike } of wordsLike(index, word.text))
        if (alike > (likeness.get(near) ?? 0)) likeness.set(near, alike);
  }
  const covered = new Map<number, number>();
  for (const [stem, alike] of likeness)
    for (const { phrase, weight } of index.postings[stem] ?? [])
      covered.set(phrase, (covered.get(phrase) ?? 0) + weight * alike);
  return covered;
}

/** The stems of the words that a misspelt one may stand for: one edit away, two where it is long; `alike` below 1. */
function wordsLike(index: TriggerIndex, text: string): { stem: number; alike: number }[] {
  const tree = index.vocabulary.get(text.slice(0, 1));
  if (tree === undefined || text.length > LONGEST_WORD) return [];
  return Array.from(tree.fuzzyGet(text, text.length < 6 ? 1 : 2), ([near, [stem, distance]]) => ({
    stem,
    alike: near.length < 4 ? 0 : 1 - distance / Math.max(near.length, text.length),
  }));
}

/** The stems with a blank around each, so that one run holds another only at the ends of words. */
function runOf(words: readonly Word[]): string {
  return ` ${words.map(({ stem }) => stem).join(" ")} `;
}
