/** A piece of output that is there: its number counts from 0 within its step. */
export type Numbered = { step: number; chunk: number; size: number };

/** Pieces from here on are not counted: output that a result carries itself goes behind all others. */
const UNCOUNTED = 1_000_000_000;
/** How many gaps are named. */
const MOST_GAPS = 10;

/**
 * What of an output is not there, such as `33 bytes; step 1 pieces 1-2`; `nothing` where nothing is known to be missing. `pieces` come in
 * the order of their steps and numbers; `told` is how many bytes their agent says there are. A message that comes later fills it.
 */
export function missingOutput(pieces: readonly Numbered[], told: number | undefined): string {
  const gaps: string[] = [];
  let [step, next] = [0, 0];
  for (const piece of pieces) {
    if (piece.step !== step) [step, next] = [piece.step, 0];
    if (piece.chunk >= UNCOUNTED) continue;
    if (piece.chunk > next) gaps.push(`step ${step} pieces ${next}-${piece.chunk - 1}`);
    next = piece.chunk + 1;
  }
  const there = pieces.reduce((sum, { size }) => sum + size, 0);
  const known = told !== undefined && told > there ? [`${told - there} bytes`] : [];
  const missing = [...known, ...gaps.slice(0, MOST_GAPS), ...(gaps.length > MOST_GAPS ? ["and more"] : [])];
  return missing.join("; ") || "nothing";
}
