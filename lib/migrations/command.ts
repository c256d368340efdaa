import * as z from "zod";
import { CallerError } from "../errors.ts";
import { describeIssue, faultsOf } from "../input/faults.ts";

/** What to do, and how far. `to` names the last migration that is applied afterwards, by name or number. */
export const MigrateCommand = z
  .strictObject({
    command: z.enum(["up", "down", "status", "sql", "redo"]).default("up"),
    to: z.union([z.string().min(1), z.int().min(0).transform(String)]).optional(),
    step: z.int().min(1).optional(),
    direction: z.enum(["up", "down"]).optional(),
  })
  .refine(({ command, direction }) => direction === undefined || command === "sql", {
    path: ["direction"],
    message: "is only for sql",
  })
  .refine(({ command, to, step }) => to === undefined || step === undefined || command === "sql", {
    path: ["step"],
    message: "goes with no to: say either how far or how many",
  })
  .refine(({ command, to, step }) => command !== "status" || (to === undefined && step === undefined), {
    path: ["command"],
    message: "status takes neither to nor step",
  });
export type MigrateCommand = z.infer<typeof MigrateCommand>;

/** What was done, by name in the order of doing, and where the database stands afterwards. */
export type Changed = {
  command: "up" | "down" | "redo";
  reverted: string[];
  applied: string[];
  current: string | null;
  pending: string[];
};
/** Where the database stands; `running`: somebody migrates it now; `faults` is why it would not be migrated with these files. */
export type Status = {
  command: "status";
  running: boolean;
  applied: { name: string; applied_at: string; duration_ms: number }[];
  current: string | null;
  pending: string[];
  faults: string[];
};
export type Migrated = Changed | Status | { command: "sql"; sql: string };

/** A command from outside; an empty event means up, which is what a deploy wants. Throws a CallerError that names what is wrong. */
export function parseCommand(event: unknown): MigrateCommand {
  const result = MigrateCommand.safeParse(event === "" ? {} : (event ?? {}), { error: describeIssue });
  if (result.success) return result.data;
  const fields = faultsOf(result.error);
  const told = fields.map(({ field, message }) => `${field || "it"} ${message}`);
  throw new CallerError(400, "invalid_input", `The command is not valid: ${told.join("; ")}.`, { fields });
}

/**
 * A command that may come twice, as from a client that heard no answer and calls again: without a target each down would take back one
 * migration more. Throws a CallerError where down or redo name none.
 */
export function parseRepeatable(event: unknown): MigrateCommand {
  const asked = parseCommand(event);
  const { command, to } = asked;
  if ((command !== "down" && command !== "redo") || to !== undefined) return asked;
  const message = `${command} wants a target: the last migration that stays, such as {"command": "${command}", "to": "0001"}, or 0 for none.`;
  throw new CallerError(400, "invalid_input", message, { fields: [{ field: "to", message: "is missing" }] });
}
