import type { DatabaseSync } from "node:sqlite";
import { log } from "../../runtime/log.ts";
import { allRuns, copyCancels, copyRun, copySaid, numberAfter, unfinished, type Which } from "./copy.ts";
import { openMemory } from "./file.ts";
import { type Found, Journal, type RunState, type Said, type Unsent } from "./journal.ts";

/** The journal's disk is full, read-only or broken: nothing new can be begun. */
export class Unwritable extends Error {
  override name = "Unwritable";
}

const PROBE_MS = 2000;

type Memory = { db: DatabaseSync; journal: Journal };

/**
 * A journal whose disk may be full, read-only or broken for a while. Then what runs goes on: all that is said of it is kept in
 * memory and sent from there, and written when the disk takes it again. Only a crash in between forgets it. Nothing new begins.
 */
export class SturdyJournal {
  readonly #file: string;
  readonly #db: DatabaseSync;
  readonly #disk: Journal;
  #memory: Memory | undefined;
  #probing: NodeJS.Timeout | undefined;

  constructor(file: string, db: DatabaseSync) {
    this.#file = file;
    this.#db = db;
    this.#disk = new Journal(db);
  }

  /** Whether new work may begin. */
  isWritable(): boolean {
    return this.#memory === undefined;
  }

  find(requestId: string): Found | undefined {
    return this.#read((journal) => journal.find(requestId));
  }

  findStart(startId: string): Found | undefined {
    return this.#read((journal) => journal.findStart(startId));
  }

  isCancelled(taskId: string, attempt: number): boolean {
    return this.#read((journal) => journal.isCancelled(taskId, attempt) || undefined) ?? false;
  }

  /** Throws Unwritable where it cannot be kept. */
  begin(...run: Parameters<Journal["begin"]>): void {
    this.#write((journal) => {
      if (journal !== this.#disk) throw new Unwritable(`the journal ${this.#file} cannot be written`);
      journal.begin(...run);
    });
  }

  /** Keeps the one word on a run that never begins. */
  beginAndEnd(request: Parameters<Journal["begin"]>[0], startId: string, said: Said): void {
    this.#write((journal) => {
      journal.begin(request, startId);
      journal.say(request.request_id, said, "stopped");
    });
  }

  say(requestId: string, said: Said, last?: Exclude<RunState, "running">): void {
    this.#write((journal) => journal.say(requestId, said, last), requestId);
  }

  replay(requestId: string, attempt: number): void {
    this.#write((journal) => journal.replay(requestId, attempt), requestId, "all");
  }

  repeatLast(requestId: string): void {
    this.#write((journal) => journal.repeatLast(requestId), requestId, "all");
  }

  unsent(limit: number): Unsent[] {
    return (this.#memory?.journal ?? this.#disk).unsent(limit);
  }

  markSent(rows: Pick<Unsent, "seq" | "generation">[]): void {
    this.#write((journal) => journal.markSent(rows));
  }

  cancel(taskId: string, attempt: number): void {
    this.#write((journal) => journal.cancel(taskId, attempt));
  }

  takeInterrupted(): ReturnType<Journal["takeInterrupted"]> {
    return this.#disk.takeInterrupted();
  }

  /** Nothing while the disk cannot be written. */
  forgetBefore(time: number): void {
    this.#write((journal) => {
      if (journal === this.#disk) journal.forgetBefore(time);
    });
  }

  close(): void {
    clearInterval(this.#probing);
    if (this.#memory !== undefined) this.#recover();
    this.#memory?.db.close();
    this.#disk.close();
  }

  /** What was said since the disk failed is in memory, what came before on the disk, where that can be read. */
  #read<T>(look: (journal: Journal) => T | undefined): T | undefined {
    const found = this.#memory === undefined ? undefined : look(this.#memory.journal);
    if (found !== undefined) return found;
    try {
      return look(this.#disk);
    } catch (error) {
      if (this.#memory === undefined || !isUnwritable(error)) throw error;
      return undefined;
    }
  }

  #write(run: (journal: Journal) => void, requestId?: string, which: Which = "unsent"): void {
    if (this.#memory === undefined) {
      try {
        return run(this.#disk);
      } catch (error) {
        if (!isUnwritable(error)) throw error;
        this.#fallBack(error);
      }
    }
    const { db, journal } = this.#memory as Memory;
    if (requestId !== undefined) this.#adopt(db, requestId, which);
    run(journal);
  }

  /** What the disk knows of a run and memory does not. */
  #adopt(memory: DatabaseSync, requestId: string, which: Which): void {
    const known = memory.prepare("select 1 from runs where request_id = ?").get(requestId);
    if (known === undefined) copyRun(this.#db, memory, requestId, which);
    else if (which === "all") copySaid(this.#db, memory, requestId, which, "keep");
  }

  #fallBack(error: unknown): void {
    const db = openMemory();
    numberAfter(this.#db, db);
    for (const requestId of unfinished(this.#db)) copyRun(this.#db, db, requestId, "unsent");
    this.#memory = { db, journal: new Journal(db) };
    this.#probing = setInterval(() => this.#recover(), PROBE_MS);
    this.#probing.unref();
    log.error("journal not writable", {
      file: this.#file,
      error,
      says: "no new work is taken; what runs goes on, and what it says is sent from memory",
      todo: `make room on the disk of ${this.#file}, or make it writable: it is tried again every ${PROBE_MS / 1000} s`,
    });
  }

  /** Writes what memory has, if the disk takes it and has room for more. */
  #recover(): void {
    const { db } = this.#memory as Memory;
    try {
      this.#disk.transaction(() => {
        for (const requestId of allRuns(db)) copyRun(db, this.#db, requestId, "all");
        copyCancels(db, this.#db);
      });
      this.#disk.probe();
    } catch (error) {
      return log.debug("journal still not writable", { file: this.#file, error });
    }
    clearInterval(this.#probing);
    db.close();
    this.#memory = undefined;
    log.info("journal writable again", { file: this.#file });
  }
}

/** SQLite's result codes: read-only, an error of the disk, no room, cannot be opened. */
const UNWRITABLE = [8, 10, 13, 14];

function isUnwritable(error: unknown): boolean {
  const { errcode } = error as { errcode?: number };
  return errcode !== undefined && UNWRITABLE.includes(errcode & 0xff);
}
