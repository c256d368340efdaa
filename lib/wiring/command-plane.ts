import type { Queues } from "../runtime/aws/queues.ts";
import { connect } from "../runtime/postgres/db.ts";
import { type ControlPlane, controlPlane } from "./control-plane.ts";
import { processEdges } from "./edges.ts";
import { planeSettingsOnDemand } from "./settings.ts";

/**
 * What `run` answers with the control plane of a command, on one connection to the database of `source`, which is closed afterwards.
 * Settings are read with their first use: nobody tells a command all that a function needs, and the kill switch turns whatever else
 * is wrong. It reaches queues only where it is given them.
 */
export async function onPlane<T>(
  run: (plane: ControlPlane) => Promise<T>,
  { source, queues }: { source?: NodeJS.ProcessEnv | undefined; queues?: Queues | undefined } = {},
): Promise<T> {
  const edges = processEdges(queues, connect(source, undefined, { max: 1 }));
  try {
    return await run(controlPlane({ settings: planeSettingsOnDemand(source), edges }));
  } finally {
    await edges.db.end({ timeout: 1 });
  }
}
