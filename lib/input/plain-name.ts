import { must } from "./faults.ts";

const UNSEEN = /[\p{Default_Ignorable_Code_Point}\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/**
 * Whether a name looks like itself alone: without what nobody sees (controls, lines, marks of direction, of no width, unassigned), without
 * spaces of other kinds, and composed as everybody's is (NFC).
 */
export function isPlainName(name: string): boolean {
  return !UNSEEN.test(name) && name === name.normalize("NFC");
}

/** What a name is told that does not. */
export const PLAIN_NAME = must("have no invisible characters, and be in Unicode's normal form (NFC)");
