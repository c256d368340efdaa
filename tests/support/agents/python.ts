import { execFileSync } from "node:child_process";
import { noteSkip } from "../skips.ts";

/** A Python that has pika and cryptography: PYTHON, else python3, else Debian's own, for which its packages are. Undefined where there is none. */
export function findPython(): string | undefined {
  const names = process.env["PYTHON"] ? [process.env["PYTHON"]] : ["python3", "/usr/bin/python3"];
  const found = names.find((python) => {
    try {
      execFileSync(python, ["-c", "import pika, cryptography"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined) {
    noteSkip(
      "Skipped: the tests of the agent in Python. Install python3, pika and cryptography (Debian: apt-get install python3-pika python3-cryptography).",
    );
  }
  return found;
}
