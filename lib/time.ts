/**
 * What a promise comes to, if that is within `ms` milliseconds; otherwise what `otherwise` answers, or throws. The promise
 * goes on; where it fails later, nobody is told. The timer is gone when this answers.
 */
export async function within<T, U>(ms: number, promise: Promise<T>, otherwise: () => U | Promise<U>): Promise<T | U> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<U>((resolve, reject) => {
    timer = setTimeout(() => {
      // Only once it is late: an error that is made and not thrown costs its stack.
      new Promise<U>((made) => made(otherwise())).then(resolve, reject);
    }, ms);
  });
  promise.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
