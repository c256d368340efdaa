import { closeSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import type { DatabaseSync } from "node:sqlite";

/**
 * Has every read of this database's file fail with EIO, as on a disk that breaks, until what it answers is called: its descriptor
 * then is one of a folder. Linux only.
 */
export function breakReading(db: DatabaseSync, file: string): () => void {
  db.exec("pragma wal_checkpoint(truncate)");
  const descriptor = readdirSync("/proc/self/fd").find((name) => linkOf(name) === file);
  swap(Number(descriptor), tmpdir(), "r");
  db.exec("pragma shrink_memory");
  return () => swap(Number(descriptor), file, "r+");
}

function linkOf(name: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${name}`);
  } catch {
    // That of the listing itself.
    return undefined;
  }
}

/** The lowest descriptor that is free is the next; others that were free before are held until then. */
function swap(descriptor: number, path: string, flags: string): void {
  closeSync(descriptor);
  const opened: number[] = [];
  while (opened.at(-1) !== descriptor) {
    opened.push(openSync(path, flags));
    if (opened.length > 100) throw new Error(`descriptor ${descriptor} cannot be had back`);
  }
  for (const other of opened.slice(0, -1)) closeSync(other);
}
