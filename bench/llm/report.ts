// What bench/llm/run.ts prints: each target, what it adds to a direct call, and the targets of the project.

export type Measured = {
  medianMs: number;
  ttftMs: number;
  perSecond: number;
  cpuMs?: number;
  /** Resident memory before the first call, after calls one at a time, and after calls in parallel. */
  idleMb?: number;
  oneByOneMb?: number;
  parallelMb?: number;
  heapMb?: number;
  externalMb?: number;
};

export function print(all: Map<string, Measured>, parallel: number): void {
  const direct = all.get("direct");
  for (const [name, it] of all) {
    const cpu =
      it.cpuMs === undefined
        ? ""
        : `, ${it.cpuMs.toFixed(2)} CPU-ms a call (${(1000 / it.cpuMs).toFixed(0)} calls/s a core)`;
    const first = inMs(it.ttftMs);
    console.log(
      `${name}: median ${it.medianMs.toFixed(2)} ms, first token ${first}, ${it.perSecond.toFixed(0)} calls/s at ${parallel}${cpu}`,
    );
    if (direct === undefined || name === "direct") continue;
    console.log(
      `  added to a direct call: median ${(it.medianMs - direct.medianMs).toFixed(2)} ms (x${(it.medianMs / direct.medianMs).toFixed(2)}), first token ${inMs(it.ttftMs - direct.ttftMs)}${Number.isNaN(it.ttftMs) ? "" : ` (x${(it.ttftMs / direct.ttftMs).toFixed(2)})`}`,
    );
    const heap =
      it.heapMb === undefined
        ? ""
        : `; heap in use after a collection ${it.heapMb.toFixed(0)} MB, outside of it ${it.externalMb?.toFixed(0)} MB`;
    console.log(
      `  memory: ${inMb(it.idleMb)} before the first call, ${inMb(it.oneByOneMb)} after calls one at a time, ${inMb(it.parallelMb)} after ${parallel} at a time${heap}`,
    );
  }
  const [ours, portkey, proxy] = [all.get("llm-route"), all.get("portkey"), all.get("bare proxy")];
  if (ours === undefined || direct === undefined) return;
  const added = ours.medianMs - direct.medianMs;
  for (const [name, peer] of [["portkey", portkey] as const, ["a bare proxy", proxy] as const]) {
    if (peer?.cpuMs === undefined || ours.cpuMs === undefined) continue;
    const ratios = [
      `CPU x${(ours.cpuMs / peer.cpuMs).toFixed(2)}`,
      `added median x${(added / (peer.medianMs - direct.medianMs)).toFixed(2)}`,
      `memory x${((ours.oneByOneMb ?? 0) / (peer.oneByOneMb ?? 1)).toFixed(2)}`,
    ];
    console.log(`llm-route against ${name}: ${ratios.join(", ")}`);
  }
  const targets: [string, number, number][] = [
    ["added median, ms", added, 1],
    ["CPU-ms a plain call", ours.cpuMs ?? Number.NaN, 1],
    ["added first token, ms", ours.ttftMs - direct.ttftMs, 2],
    ["memory after calls one at a time, as Lambda gives them, MB", ours.oneByOneMb ?? Number.NaN, 100],
    [`memory after ${parallel} at a time, MB`, ours.parallelMb ?? Number.NaN, 100],
  ];
  for (const [name, value, limit] of targets)
    console.log(`${value < limit ? "met   " : "MISSED"} ${name}: ${value.toFixed(2)} (target < ${limit})`);
}

function inMs(ms: number): string {
  return Number.isNaN(ms) ? "not measured" : `${ms.toFixed(2)} ms`;
}

function inMb(megabytes: number | undefined): string {
  return megabytes === undefined ? "?" : `${megabytes.toFixed(0)} MB`;
}
