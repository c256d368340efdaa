import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { Failed } from "../../lib/terminal/command.ts";

/** Asks whoever is at the terminal, or standard input a line an answer; `hidden` answers are not shown. Throws Failed where the input ends. */
export type Ask = (question: string, more?: { hidden?: boolean }) => Promise<string>;

/** Runs `run` with somebody to ask. */
export async function withPrompt<T>(run: (ask: Ask) => Promise<T>): Promise<T> {
  let hidden = false;
  const output = new Writable({
    write: (piece: Buffer, _, done) => {
      if (!hidden) process.stdout.write(piece);
      done();
    },
  });
  const terminal = createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY });
  const lines = terminal[Symbol.asyncIterator]();
  try {
    return await run(async (question, more = {}) => {
      process.stdout.write(`${question}: `);
      hidden = more.hidden ?? false;
      const { done, value } = await lines.next();
      if (hidden || !process.stdin.isTTY) process.stdout.write("\n");
      hidden = false;
      if (done === true) throw new Failed(`${question}: nobody answered. Nothing more was made; start again.`);
      return value.trim();
    });
  } finally {
    terminal.close();
  }
}
