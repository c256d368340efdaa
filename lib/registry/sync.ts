import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { compareVersions } from "compare-versions";
import { type Actor, teamOf } from "../access/actor.ts";
import { audit } from "../access/record.ts";
import type { Db, Pool } from "../runtime/postgres/db.ts";
import { type Read, readDefinition, tellFault } from "./definition-file.ts";
import { type Outcome, storeDefinition } from "./store.ts";
import { findVersions, lockAgent } from "./versions.ts";

/** `gentle` leaves alone what somebody has deactivated or replaced by a higher version; otherwise what the files say holds. */
export type SyncOptions = { gentle: boolean; newId: () => string };
/** What became of one file; `left`: somebody has deactivated the agent or stored a higher version. */
export type Synced = { file: string; name: string; version: string; outcome: Outcome | "left" };
/** What became of a folder; faults as file:line:column and a sentence. */
export type SyncOutcome = { ok: true; synced: Synced[] } | { ok: false; faults: string[] };

type File = { file: string; read: Read };

/**
 * Stores every definition of a folder in the actor's team (*.yaml, *.yml, *.json) in one transaction; a file that is as it was writes nothing. Where any file has a
 * fault nothing of any is stored, and the faults are answered, each with file, line and column. Answers the agents by name. Throws where the folder
 * cannot be read.
 */
export async function syncFolder(pool: Pool, actor: Actor, folder: string, options: SyncOptions): Promise<SyncOutcome> {
  const parsed = await readFolder(folder);
  if (!parsed.ok) return parsed;
  const synced = await pool.begin(async (db) => {
    const done: Synced[] = [];
    // In the order of their names, so that two runs at once take their locks in one order.
    for (const file of parsed.files) done.push(await syncFile(db, actor, file, options));
    return done;
  });
  return { ok: true, synced };
}

async function syncFile(db: Db, actor: Actor, { file, read }: File, { gentle, newId }: SyncOptions): Promise<Synced> {
  const { name, version, queue } = read.definition;
  const team = teamOf(actor);
  if (gentle && (await isTaken(db, team, name, version))) return { file, name, version, outcome: "left" };
  const queueUrl = queue?.includes("://") ? queue : undefined;
  const outcome = await storeDefinition(db, team, read, {
    definitionId: newId(),
    queueUrl,
    allowOlder: true,
    reactivate: true,
  });
  if (outcome !== "unchanged")
    await audit(db, actor, { action: "agent.stored", object: ["agent", name], details: { version, outcome } });
  return { file, name, version, outcome };
}

async function isTaken(db: Db, team: string, name: string, version: string): Promise<boolean> {
  await lockAgent(db, team, name);
  const [first] = await findVersions(db, team, name);
  return first !== undefined && (!first.active || compareVersions(version, first.agentVersion) < 0);
}

async function readFolder(folder: string): Promise<{ ok: true; files: File[] } | { ok: false; faults: string[] }> {
  const names = (await readdir(folder)).filter((name) => /\.(ya?ml|json)$/.test(name)).toSorted();
  const files: File[] = [];
  const faults: string[] = [];
  for (const name of names) {
    const file = join(folder, name);
    const text = decode(await readFile(file));
    if (text === undefined) {
      faults.push(`${file}:1:1  is not UTF-8 text; save it as UTF-8`);
      continue;
    }
    const read = readDefinition(text);
    if (!read.ok) faults.push(...read.faults.map((fault) => tellFault(file, fault)));
    else {
      const twin = files.find(({ read: other }) => other.definition.name === read.definition.name);
      if (twin === undefined) files.push({ file, read });
      else faults.push(`${file}:1:1  name is that of ${twin.file}; an agent has one file`);
    }
  }
  if (names.length === 0) faults.push(`${folder} has no definitions: no file that ends with .yaml, .yml or .json`);
  if (faults.length > 0) return { ok: false, faults };
  const byName = (a: File, b: File) => (a.read.definition.name < b.read.definition.name ? -1 : 1);
  return { ok: true, files: files.toSorted(byName) };
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
