import { createInterface } from "node:readline/promises";
import { Failed } from "./command.ts";

/** What cannot be taken back: the name of what it is done to, what that is, what is lost, and what is true as long as it is not done. */
type Loss = { name: string; of: "database" | "stack"; loss?: string; otherwise: string };

/** Has whoever is at the terminal confirm a loss by typing the name. Throws Failed where there is no terminal, or the name is another. */
export async function confirmByName({ name, of, loss, otherwise }: Loss): Promise<void> {
  const first = loss === undefined ? "" : `${loss} `;
  if (!process.stdin.isTTY) throw new Failed(`${first}${otherwise} If that is wanted, say --yes.`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${first}Type the ${of}'s name, ${name}, to go on: `);
  terminal.close();
  if (answer.trim() !== name) throw new Failed(otherwise);
}
