import type { Stamp } from "../work/core/messages.ts";
import type { Edges } from "./edges.ts";
import { type Messages, messagesOver } from "./messages.ts";
import type { PlaneSettings } from "./settings.ts";

/**
 * The control plane of a process: the one place where settings, edges and rooms meet. Functions, tests, benchmarks and commands
 * build theirs with `controlPlane` and hand it to the use cases.
 */
export type ControlPlane = Pick<Edges, "db" | "log"> &
  Messages & {
    edges: Edges;
    settings: PlaneSettings;
    /** The agents whose queue the environment names; others have theirs in the registry. */
    readonly agents: string[];
    /** Ids and times for what we write. */
    stamp: Stamp;
    /**
     * A part that is made once, when it is first asked for, such as the router. Who does not name it does not carry its code:
     * a bundle has what its function imports.
     */
    part: <T>(make: Part<T>) => T;
  };

/** Makes a part of a control plane. */
export type Part<T> = (plane: ControlPlane) => T;

/** Builds the control plane from settings and edges. Reads no setting before it is needed, opens nothing, waits for nothing. */
export function controlPlane({ settings, edges }: { settings: PlaneSettings; edges: Edges }): ControlPlane {
  const { db, log, newId, now, dice } = edges;
  const stamp: Stamp = { newId, now, dice };
  const made = new Map<Part<unknown>, unknown>();
  const plane: ControlPlane = {
    settings,
    edges,
    db,
    log,
    stamp,
    get agents() {
      return Object.keys(settings.queues.agents);
    },
    ...messagesOver(edges, settings, stamp),
    part: <T>(make: Part<T>): T => {
      if (!made.has(make)) made.set(make, make(plane));
      return made.get(make) as T;
    },
  };
  return plane;
}
