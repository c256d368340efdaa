/** How waits grow: from `first` on, doubled with each failure up to `most`, in any one unit. */
export type Growth = { first: number; most: number };

/**
 * The wait after so many failures in a row (0: the first one), in the unit of `growth`: of the full wait a random part of at most
 * the share `jitter` is taken off, so that those who failed together do not come back together. `dice` is in [0, 1).
 * Exponential backoff with (for 0.5: equal) jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
 */
export function backoff(failures: number, { first, most }: Growth, jitter: number, dice: number): number {
  return Math.min(most, first * 2 ** Math.max(0, failures)) * (1 - jitter * dice);
}
