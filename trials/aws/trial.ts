import type { Named } from "../try-each.ts";
import type { World } from "./world.ts";

/** One thing that is tried. It answers what it has seen, in a line, and throws what was not as it must be. */
export type Trial = Named & { run: (world: World) => Promise<string> };
