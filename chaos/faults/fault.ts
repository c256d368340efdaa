import type { LoadOptions } from "../load/client.ts";
import type { Dice } from "../load/dice.ts";
import type { World } from "../world/world.ts";

/** Something that goes wrong while work is done. */
export type Fault = {
  /** By which it is asked for. */
  id: string;
  /** What goes wrong, in a line. */
  breaks: string;
  /** What is looked at in particular; the invariants hold for every fault. */
  holds: string;
  /** How long it lasts, in milliseconds, unless the run says otherwise. */
  lasts: number;
  /** How long locks of its sessions may outlive it, in milliseconds: the server does not know at once who is silent. Default 0. */
  lockedMs?: number;
  /** Other faults may go on at the same time. Default true. */
  mixes?: boolean;
  /** The agents speak AMQP to a RabbitMQ of the run's own. */
  broker?: boolean;
  /** Why it cannot be injected here, as `needs X`; undefined where it can. */
  missing?: (options: { old: string | undefined }) => string | undefined;
  /** How the load differs from the usual. */
  load?: Partial<LoadOptions>;
  /** Begins it, and answers how it is ended. */
  inject: (world: World, dice: Dice) => Promise<() => Promise<void>>;
};

/** Does something again and again until the fault is over, with a pause of `from` to `to` milliseconds before each. */
export function repeatedly(
  dice: Dice,
  [from, to]: readonly [number, number],
  once: () => Promise<void>,
): () => Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const loop = async () => {
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, dice.whole(from, to));
        signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
      });
      if (!signal.aborted) await once();
    }
  };
  const done = loop();
  return async () => {
    stopping.abort();
    await done;
  };
}
