import { compareVersions } from "compare-versions";
import { CallerError } from "../errors.ts";
import type { Db } from "../runtime/postgres/db.ts";
import type { Read } from "./definition-file.ts";
import { deactivate, findVersions, insertVersion, lockAgent, updateVersion, type VersionRow } from "./versions.ts";

/** How a definition is stored beside what is there. */
export type Wish = {
  definitionId: string;
  /** Its queue; null where it has none, undefined where that is not known: then the one that it had stays. */
  queueUrl: string | null | undefined;
  /** Whether it may take the place of a higher version. */
  allowOlder: boolean;
  /** Whether it may bring back an agent that somebody has deactivated. */
  reactivate: boolean;
};

/** Whether the agent is new, has changed, or was stored just so before. */
export type Outcome = "created" | "changed" | "unchanged";

/**
 * Stores a definition as the active version of its agent in the team: a new version beside the earlier ones, which stay as history, the same
 * version in place. Writes nothing where nothing would change. Runs within the caller's transaction; throws a CallerError, 409, where a
 * higher version is active or the agent must not come back.
 */
export async function storeDefinition(db: Db, team: string, read: Read, wish: Wish): Promise<Outcome> {
  const { name, version } = read.definition;
  await lockAgent(db, team, name);
  const versions = await findVersions(db, team, name);
  const active = versions.find((row) => row.active);
  if (active !== undefined && !wish.allowOlder && compareVersions(version, active.agentVersion) < 0) {
    const todo = "Raise the version, or say allow_older=true to go back.";
    const message = `Version ${active.agentVersion} of ${name} is active, which is higher than ${version}. ${todo}`;
    throw new CallerError(409, "older_version", message);
  }
  if (active === undefined && versions.length > 0 && !wish.reactivate) {
    const message = `${name} has been deactivated. PUT its definition without reactivate=false to bring it back.`;
    throw new CallerError(409, "agent_deactivated", message);
  }
  const same = versions.find((row) => row.agentVersion === version);
  const queueUrl = wish.queueUrl === undefined ? (versions[0]?.queueUrl ?? null) : wish.queueUrl;
  if (same !== undefined && isSame(same, read, queueUrl)) return "unchanged";
  if (active !== undefined && active !== same) await deactivate(db, team, name);
  const content = { ...read, team, queueUrl };
  if (same === undefined) await insertVersion(db, { ...content, definitionId: wish.definitionId });
  else await updateVersion(db, { ...content, definitionId: same.definitionId });
  return versions.length === 0 ? "created" : "changed";
}

function isSame(row: VersionRow, read: Read, queueUrl: string | null): boolean {
  return row.active && row.definitionHash === read.hash && row.queueUrl === queueUrl;
}
