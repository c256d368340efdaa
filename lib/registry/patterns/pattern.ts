// RE2 in JavaScript (re2js) and not the native re2: that would need a build of its own for Lambda.
import { RE2JS } from "re2js";

/** Text that a trigger's pattern has at most. */
export const MAX_PATTERN_LENGTH = 500;

/**
 * Compiles a trigger's pattern: RE2 syntax, found anywhere, in either case. It matches in time linear to the text whatever the
 * pattern is, which JavaScript's own expressions do not: they take minutes for `(.*)(.*)(.*)x`. Throws where it is no
 * pattern, or one that RE2 cannot match in linear time (look-around, back-references).
 */
export function compilePattern(pattern: string): RE2JS {
  return RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE);
}
