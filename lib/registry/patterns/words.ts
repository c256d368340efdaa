import { stemmer } from "stemmer";

/** A word as it was written, in lower case, and its stem: `tests` and `testing` have the stem `test`. */
export type Word = { text: string; stem: string };

/** Words that say little of what is wanted: they count a fifth. */
const FUNCTION_WORDS = new Set(
  "a an and are as at be by can for from i in into is it its me my of on or our please so some that the their them then these this those to up us we what which with you your".split(
    " ",
  ),
);
const FUNCTION_WORD_WEIGHT = 0.2;

/** Scripts that put no spaces between words. */
const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u;
/** A mark alone, such as the one that makes an emoji of ☎, is no word. */
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });

/** The words of a text in their order, in lower case. Numbers are words; punctuation is not. */
export function wordsOf(text: string): Word[] {
  const plain = text.normalize("NFKC").toLowerCase();
  const words = UNSPACED.test(plain)
    ? Array.from(segmenter.segment(plain), ({ segment, isWordLike }) => (isWordLike ? segment : ""))
    : plain.split(/[^\p{L}\p{N}\p{M}]+/u);
  return words.filter((word) => LETTER_OR_DIGIT.test(word)).map((word) => ({ text: word, stem: stemmer(word) }));
}

/** What a word of a phrase counts. */
export function weightOf(word: Word): number {
  return FUNCTION_WORDS.has(word.text) ? FUNCTION_WORD_WEIGHT : 1;
}
