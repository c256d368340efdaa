import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A folder on a disk that can be filled. */
export type SmallDisk = { fill: () => void; empty: () => void; release: () => void };

const SIZE_MB = 300;

/** Why no small disk can be had here; undefined where it can. */
export function missingDisk(): string | undefined {
  const may = process.platform === "linux" && process.getuid?.() === 0;
  return may ? undefined : "needs Linux and root, to mount a small disk";
}

/** Puts a folder, under the path that it has, onto a disk in memory; after `release` it is gone with all that was in it. */
export function onSmallDisk(folder: string): SmallDisk {
  const moved = `${folder}.moved`;
  const ballast = join(folder, "ballast");
  execFileSync("mv", [folder, moved]);
  mkdirSync(folder);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE_MB}m`, "tmpfs", folder]);
  execFileSync("cp", ["-a", `${moved}/.`, folder]);
  execFileSync("chmod", ["--reference", moved, folder]);
  execFileSync("chown", ["--reference", moved, folder]);
  rmSync(moved, { recursive: true });
  const release = () => void execFileSync("umount", ["--lazy", folder]);
  process.once("exit", release);
  return {
    fill: () => {
      const { bavail, bsize } = statfsSync(folder);
      // In pieces: what is left is less than a page of the database's log.
      const piece = Buffer.alloc(bsize);
      for (let left = bavail; left > 0; left--) if (!tookIt(ballast, piece)) return;
    },
    empty: () => rmSync(ballast, { force: true }),
    release: () => {
      process.off("exit", release);
      release();
    },
  };
}

/** Whether there was room for it: the database, which is writing too, may have had the last of it. */
function tookIt(file: string, piece: Buffer): boolean {
  try {
    writeFileSync(file, piece, { flag: "a" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    return false;
  }
}
