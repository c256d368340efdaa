/** How long to wait after `failures` earlier failures: from a quarter of a second to ten seconds, with jitter. */
export function backoffMs(failures: number): number {
  const longest = Math.min(10_000, 250 * 2 ** Math.min(failures, 10));
  return Math.round(longest * (0.5 + Math.random() / 2));
}
