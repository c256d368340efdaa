// Loaded by `node --import` into the processes of a run: a clock that the harness can set, by {clock: milliseconds to add}. Node's
// timers and performance.now() go on as they were, as where a machine's clock is set.

let offset = 0;
const Real = Date;

class Skewed extends Real {
  constructor(...given: unknown[]) {
    super(...((given.length === 0 ? [Real.now() + offset] : given) as [number]));
  }

  static override now(): number {
    return Real.now() + offset;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Real;
  }
}

process.on("message", (message) => {
  const { clock } = message as { clock?: number };
  if (clock === undefined) return;
  offset = clock;
  globalThis.Date = Skewed as DateConstructor;
});
// Listening keeps the channel open and so the process alive; this takes that back.
process.channel?.unref();
