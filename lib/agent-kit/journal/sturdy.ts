import type { DatabaseSync } from "node:sqlite";
import { log } from "../../runtime/log.ts";
import { isBroken, isDamaged, tellBroken, Unwritable } from "./broken.ts";
import { allRuns, copyCancels, copyRun, copySaid, lastNumber, numberAfter, unfinished, type Which } from "./copy.ts";
import { openMemory, unusable } from "./file.ts";
import { type Found, type Interrupted, Journal, type RunState, type Said, type Unsent } from "./journal.ts";

const PROBE_MS = 2000;

type Memory = { db: DatabaseSync; journal: Journal };

/**
 * A journal whose disk may be full, read-only or broken for a while. Then what runs goes on: all that is said of it is kept in
 * memory and sent from there, and written when the disk takes it again. Only a crash in between forgets it. Nothing new begins.
 * Where the disk cannot be read either, nothing is answered in its place: that throws Unwritable, and a run of which some words are
 * only there is lost.
 */
export class SturdyJournal {
  readonly #file: string;
  readonly #db: DatabaseSync;
  readonly #disk: Journal;
  #memory: Memory | undefined;
  #probing: NodeJS.Timeout | undefined;
  /** The look at the disk that failed last: it must succeed before the disk is well. */
  #unread: () => unknown = () => {};
  readonly #lost = new Set<string>();

  constructor(file: string, db: DatabaseSync) {
    this.#file = file;
    this.#db = db;
    this.#disk = new Journal(db);
  }

  /** Whether new work may begin. */
  isWritable(): boolean {
    return this.#memory === undefined;
  }

  /** Whether words of a run cannot be read, so that it cannot be told whole any more. */
  isLost(requestId: string): boolean {
    return this.#lost.has(requestId);
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
    this.#lost.delete(run[0].request_id);
  }

  /** Keeps the one word on a run that never begins. */
  beginAndEnd(request: Parameters<Journal["begin"]>[0], startId: string, said: Said): void {
    this.#write((journal) =>
      journal.transaction(() => {
        journal.begin(request, startId);
        journal.say(request.request_id, said, "stopped");
      }),
    );
  }

  /** Of a run that is lost nothing more is kept, and its last word throws Unwritable: told with a gap it would be wrong. */
  say(requestId: string, said: Said, last?: Exclude<RunState, "running">): void {
    try {
      if (this.isLost(requestId)) throw this.#unreadable();
      this.#write((journal) => journal.say(requestId, said, last), requestId);
    } catch (error) {
      if (!(error instanceof Unwritable)) throw error;
      this.#lost.add(requestId);
      if (last !== undefined) throw error;
    }
  }

  replay(requestId: string, attempt: number, leaseToken?: string): void {
    this.#write((journal) => journal.replay(requestId, attempt, leaseToken), requestId, "all");
  }

  repeatLast(requestId: string): void {
    this.#write((journal) => journal.repeatLast(requestId), requestId, "all");
  }

  unsent(limit: number): Unsent[] {
    if (this.#memory === undefined) {
      try {
        return this.#look((journal) => journal.unsent(limit));
      } catch (error) {
        if (!(error instanceof Unwritable)) throw error;
      }
    }
    return (this.#memory as unknown as Memory).journal.unsent(limit);
  }

  markSent(rows: Pick<Unsent, "seq" | "generation">[]): void {
    this.#write((journal) => journal.markSent(rows));
  }

  cancel(taskId: string, attempt: number): void {
    this.#write((journal) => journal.cancel(taskId, attempt));
  }

  /** For the start of an agent: throws an error that says what to do where it cannot be read. */
  interrupted(): Interrupted[] {
    try {
      return this.#disk.interrupted();
    } catch (cause) {
      throw unusable(this.#file, cause);
    }
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

  /** What was said since the disk failed is in memory, what came before on the disk. */
  #read<T>(look: (journal: Journal) => T | undefined): T | undefined {
    const found = this.#memory === undefined ? undefined : look(this.#memory.journal);
    return found ?? this.#look(look);
  }

  /** Looks at the disk. */
  #look<T>(look: (journal: Journal) => T): T {
    try {
      return look(this.#disk);
    } catch (error) {
      if (!isBroken(error)) throw error;
      this.#unread = () => look(this.#disk);
      if (this.#memory === undefined) this.#fallBack(error);
      throw this.#unreadable(error);
    }
  }

  #unreadable(cause?: unknown): Unwritable {
    return new Unwritable(`the journal ${this.#file} cannot be read`, { cause });
  }

  #write(run: (journal: Journal) => void, requestId?: string, which: Which = "unsent"): void {
    if (this.#memory === undefined) {
      try {
        return run(this.#disk);
      } catch (error) {
        if (!isBroken(error)) throw error;
        this.#fallBack(error);
      }
    }
    const memory = this.#memory as unknown as Memory;
    if (requestId !== undefined) this.#adopt(memory, requestId, which);
    run(memory.journal);
  }

  /** Takes over what the disk knows of a run and memory does not: all of that, or nothing. */
  #adopt({ db, journal }: Memory, requestId: string, which: Which): void {
    const known = journal.find(requestId) !== undefined;
    if (known && which !== "all") return;
    this.#look(() =>
      journal.transaction(() => {
        if (known) copySaid(this.#db, db, requestId, which, "keep");
        else copyRun(this.#db, db, requestId, which);
      }),
    );
  }

  #fallBack(error: unknown): void {
    const db = openMemory();
    const memory = { db, journal: new Journal(db) };
    this.#memory = memory;
    tellBroken(this.#file, error, PROBE_MS / 1000);
    if (!isDamaged(error)) this.#probing = setInterval(() => this.#recover(), PROBE_MS).unref();
    // No journal has numbered as far as this.
    let last = Date.now();
    let runs: string[] = [];
    try {
      last = lastNumber(this.#db);
      runs = unfinished(this.#db);
    } catch (cause) {
      if (!isBroken(cause)) throw cause;
    }
    numberAfter(db, last);
    for (const requestId of runs) {
      try {
        this.#adopt(memory, requestId, "unsent");
      } catch (cause) {
        // It is lost, if it is still running, with the next word of it.
        if (!(cause instanceof Unwritable)) throw cause;
      }
    }
  }

  /** Writes what memory has, if the disk can be read, takes it and has room for more. */
  #recover(): void {
    const { db } = this.#memory as Memory;
    try {
      this.#unread();
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
    this.#unread = () => {};
    log.info("journal writable again", { file: this.#file });
  }
}
