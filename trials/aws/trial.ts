import type { World } from "./world.ts";

/** One thing that is tried. It answers what it has seen, in a line, and throws what was not as it must be. */
export type Trial = {
  name: string;
  /** What must hold. */
  says: string;
  run: (world: World) => Promise<string>;
};
