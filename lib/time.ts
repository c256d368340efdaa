/** A timer that fires later than this was kept from it by a blocked event loop, or a frozen process. */
const LATE_MS = 500;

/**
 * A signal that is aborted after `ms` milliseconds, as AbortSignal.timeout; but where the event loop was blocked when they were over,
 * only half a second after it is free again: what has come meanwhile is heard first.
 */
export function deadline(ms: number): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort(new DOMException(`It took longer than ${ms} ms.`, "TimeoutError"));
  const due = performance.now() + ms;
  const check = () => (performance.now() - due > LATE_MS ? void setTimeout(end, LATE_MS).unref() : end());
  setTimeout(check, ms).unref();
  return controller.signal;
}

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
