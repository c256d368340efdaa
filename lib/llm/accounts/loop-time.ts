/** So many parts has a bound: each counts once, however late the event loop gets to it. */
const PARTS = 10;

/**
 * What `running` comes to, or a rejection after `ms` milliseconds in which the event loop was free to hear of it: time that
 * the process spent on something else counts as a tenth of the bound at most.
 */
export async function inLoopTime<T>(ms: number, running: Promise<T>): Promise<T> {
  let left = PARTS;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      if (--left === 0) reject(new Error(`the database took more than ${ms} ms`));
    }, ms / PARTS);
  });
  try {
    return await Promise.race([running, late]);
  } finally {
    clearInterval(timer);
  }
}
