import fc from "fast-check";
import { expect, test } from "vitest";
import { isUnsaid, openOf } from "../../../lib/work/attempts/work.ts";
import { isSound, type Move, moves, newWorld, play, settleDown, type World } from "./simulation.ts";

const RUNS = 10_000;

/** Work that runs in the first process. */
const BEGUN: readonly Move[] = [
  { move: "dispatch" },
  { move: "deliver", which: 0, process: 0, keep: false },
  { move: "begin", process: 0 },
];

/** Plays moves on a new world; after each the rules of the table must hold. */
function played(sequence: readonly Move[], maxAttempts: number): World {
  const world = newWorld(maxAttempts);
  for (const move of sequence) {
    play(world, move);
    const fault = isSound(world);
    if (fault !== undefined) throw new Error(`${fault}, after ${JSON.stringify(move)}`);
  }
  return world;
}

const attempts = fc.integer({ min: 1, max: 3 });

const sequences = (allowed: (move: Move) => boolean = () => true) =>
  fc.array(moves, { minLength: 5, maxLength: 60 }).map((sequence) => sequence.filter(allowed));

test("whatever queues, processes, people and time do, work is in one of its states, and comes to rest when the faults are over", () => {
  fc.assert(
    fc.property(sequences(), attempts, fc.constantFrom("completed", "failed_retryable"), (sequence, max, how) => {
      const world = played(sequence, max);
      settleDown(world, how);
      expect(isSound(world)).toBeUndefined();
      expect(["completed", "failed", "cancelled"]).toContain(world.work.status);
      expect(openOf(world.work)).toEqual([]);
    }),
    { numRuns: RUNS },
  );
}, 120_000);

test("a final state is left only by a retry, or by a completion that silence had hidden", () => {
  fc.assert(
    fc.property(
      sequences(({ move }) => move !== "retry"),
      attempts,
      (sequence, max) => {
        const { finals } = played(sequence, max);
        const first = finals.findIndex((status) => ["completed", "failed", "cancelled"].includes(status));
        const after = first === -1 ? [] : finals.slice(first);
        expect([[], ["completed"], ["failed"], ["cancelled"], ["failed", "completed"]]).toContainEqual(after);
      },
    ),
    { numRuns: RUNS },
  );
}, 120_000);

test("work that an agent has completed is completed, unless a person has cancelled it", () => {
  let completed = 0;
  fc.assert(
    fc.property(
      // Of another agent a later attempt may have ended it: then that stands.
      sequences(({ move }) => !["cancel", "retry", "lose", "handOver"].includes(move)),
      attempts,
      fc.nat(20),
      (sequence, max, place) => {
        // Begun early and completed somewhere, so that there is something to lose.
        const [early, late] = [sequence.slice(0, place), sequence.slice(place)];
        const world = played([...BEGUN, ...early, { move: "end", process: 0, how: "completed" }, ...late], max);
        const done = world.completedBy.length > 0;
        completed += Number(done);
        settleDown(world, "failed_retryable");
        return !done || world.work.status === "completed";
      },
    ),
    { numRuns: RUNS },
  );
  expect(completed).toBeGreaterThan(RUNS / 10);
}, 120_000);

test("without a process that dies or falls silent no attempt is lost, whatever messages are: they cost time alone", () => {
  fc.assert(
    fc.property(
      sequences((move) => !["cancel", "retry", "crash", "freeze"].includes(move.move) && !("how" in move)),
      attempts,
      (sequence, max) => {
        const world = played(sequence, max);
        settleDown(world, "completed");
        expect(world.work.status).toBe("completed");
      },
    ),
    { numRuns: RUNS },
  );
}, 120_000);

test("work is cancelled only when no process that is known does it any more, unless it was silent for a lease", () => {
  fc.assert(
    fc.property(
      sequences(({ move }) => !["retry", "crash", "freeze", "lose"].includes(move)),
      (sequence) => {
        const world = newWorld();
        for (const move of sequence) {
          play(world, move);
          if (world.work.status !== "cancelled") continue;
          const running = world.processes.flatMap(({ runs }) => runs.filter(({ state }) => state === "running"));
          // Its words may be on their way longer than a lease: then it is silent.
          const silent = world.work.attempts.filter(isUnsaid).map(({ startId }) => startId);
          expect(
            running.filter(({ startId }) => world.knownAtCancel.includes(startId) && !silent.includes(startId)),
          ).toEqual([]);
        }
      },
    ),
    { numRuns: RUNS },
  );
}, 120_000);
