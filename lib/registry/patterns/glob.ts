// Own: picomatch (pinned exactly) writes the expression, three look-aheads are taken out of its text, and RE2 matches. glob-to-regexp
// needs no taking out, but has had no release for years. Where picomatch changes, RE2 refuses what is left, so it fails loudly.
import picomatch from "picomatch";
import { RE2JS } from "re2js";

/** What picomatch looks ahead for, so that `*` matches neither `.` nor `..`: RE2 has no look-around, and without them it can match all the rest. */
const LOOKS = ["(?!(?:^|\\/)\\.{1,2}(?:\\/|$))", "(?!\\.{1,2}(?:\\/|$))", "(?=.)"];

/**
 * Compiles a glob: `*`, `**`, `?`, `[…]` and `{a,b}`, in either case, names with a dot too. It matches in time linear to the path, as a
 * trigger's pattern does: in JavaScript's own engine a few stars take minutes. Throws where RE2 cannot match it.
 */
export function compileGlob(glob: string): RE2JS {
  const { source } = picomatch.makeRe(glob, { dot: true, noextglob: true, nonegate: true, nocase: true });
  const plain = LOOKS.reduce((text, look) => text.replaceAll(look, ""), source);
  return RE2JS.compile(plain, RE2JS.CASE_INSENSITIVE);
}
