import { spawnSync } from "node:child_process";
import { noteSkip } from "./skips.ts";

/**
 * A Python 3 that has pika: the one on the PATH, else the distribution's, which may have what a version manager's lacks.
 * Undefined where there is none, and the run's last lines say so; throws in continuous integration instead.
 */
export function findPython(): string | undefined {
  const found = ["python3", "/usr/bin/python3"].find((python) => {
    return spawnSync(python, ["-c", "import pika"], { stdio: "ignore" }).status === 0;
  });
  if (found === undefined)
    noteSkip("Skipped: the agent in Python. Install pika (Debian: apt-get install python3-pika).");
  return found;
}
