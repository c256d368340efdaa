import * as z from "zod";
import { DEFAULT_TEAM, system } from "../access/actor.ts";
import { ConfigError } from "../errors.ts";
import { type Synced, syncFolder } from "../registry/sync.ts";
import { makePartitions } from "../router/series.ts";
import { isBusyError } from "../runtime/postgres/db-errors.ts";
import { readSettings, setting } from "../runtime/settings.ts";
import { onPlane } from "./command-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

export const shippedAgentsSettings = {
  folder: setting({
    env: "AGENTS_DIR",
    takes: z.string(),
    default: "agents",
    says: "Where migrate finds the definitions of the agents that ship.",
  }),
};

const PREPARE = system("prepare-database", DEFAULT_TEAM);

/**
 * What a database needs beside its schema, after each `migrate up`: the time series' partitions of this month and the next, and the
 * definitions that ship with Waybill, from AGENTS_DIR, where they are missing or newer; leaves alone what somebody has
 * deactivated or replaced by a higher version. Answers what was done to each agent; does nothing while the schema is older
 * than they need it. Throws a ConfigError that lists the faults of the files.
 */
export async function prepareDatabase(source?: NodeJS.ProcessEnv): Promise<Synced[]> {
  const { folder } = readSettings(shippedAgentsSettings, source);
  const run = async (plane: ControlPlane) => {
    const { db, log } = plane;
    const [has] = await db<{ whole: boolean }[]>`select to_regprocedure('series_months(text)') is not null as whole`;
    if (has?.whole !== true) return [];
    const synced = await syncBuiltIn(plane, folder);
    await makePartitions(db, PREPARE).catch((error: unknown) => {
      if (!isBusyError(error)) throw error;
      // The next sweep makes what somebody's lock has kept us from.
      log.warn("partitions not made", { error });
    });
    return synced;
  };
  return await onPlane(run, { source });
}

async function syncBuiltIn({ db, stamp }: ControlPlane, folder: string): Promise<Synced[]> {
  const outcome = await syncFolder(db, PREPARE, folder, { gentle: true, newId: stamp.newId });
  if (!outcome.ok) throw new ConfigError(`Agents that ship are not right:\n${outcome.faults.join("\n")}`);
  return outcome.synced;
}
