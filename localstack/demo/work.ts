import { createHash } from "node:crypto";
import type { TaskWithSteps } from "../../lib/work/core/answers.ts";
import { type Api, download } from "./api.ts";

/** One piece of work of the demonstration, and what must have come of it. */
export type Piece = {
  name: string;
  work: Record<string, unknown> & { request_text: string };
  /** Where a person must agree first: why it does. */
  approval?: { reason: string };
  expected: "completed" | "failed";
  /** Answers in a sentence what was found right; throws what was not. */
  check: (task: TaskWithSteps, api: Api) => Promise<string>;
};

const LAST_NUMBER = 400_000;

/** The four pieces: one that succeeds, one that fails, one that a person approves, one with over 2 MB of output. */
export function demoWork(): Piece[] {
  return [
    {
      name: "inspect",
      work: {
        request_text: "Count this project's library, file by file, and list what is still to do",
        work_type: "code.inspect",
        parameters: { folder: "lib" },
      },
      expected: "completed",
      check: async ({ steps }) => {
        const files = steps.find((step) => /\d+ files/.test(step.output_summary ?? ""))?.output_summary;
        must(files !== undefined, "no step tells how many files there are");
        return `the agent's own count: ${files}`;
      },
    },
    {
      name: "verify",
      work: {
        request_text: "Verify last night's backup",
        work_type: "code.run",
        parameters: {
          command: "node",
          args: ["-e", "console.log('reading the archive'); console.error('checksum differs'); process.exit(3)"],
        },
      },
      expected: "failed",
      check: async ({ exit_code, error_message, steps }) => {
        must(exit_code === 3, `the exit code kept is ${exit_code}, not 3`);
        must(error_message?.includes("checksum differs") === true, `the reason kept is ${error_message}`);
        must(steps.at(-1)?.status === "failed", "the step is not failed");
        return `exit code and reason are kept: ${error_message}`;
      },
    },
    {
      name: "probe",
      work: {
        request_text: "Probe the API and the disk of this machine",
        work_type: "infra.check",
        // The address of the API is the agent's: in a container it is not the one that this program has.
        parameters: { targets: [{ http: "/health" }, { disk: "." }] },
        approval: "required",
      },
      approval: { reason: "the targets are ours" },
      expected: "completed",
      check: async ({ approved_by, approval_reason, steps }) => {
        must(approved_by !== null, "approved_by is not kept");
        must(approval_reason === "the targets are ours", `approval_reason is ${approval_reason}`);
        must(steps.length === 2, `there are ${steps.length} steps, not one for each target`);
        return `approved by ${approved_by}: "${approval_reason}"`;
      },
    },
    {
      name: "numbers",
      work: {
        request_text: `Print the numbers from 1 to ${LAST_NUMBER}`,
        work_type: "code.run",
        parameters: { command: "seq", args: ["1", String(LAST_NUMBER)] },
      },
      expected: "completed",
      check: async ({ task_id }, api) => {
        const output = await download(api, `/work/${task_id}/output`);
        const wanted = Buffer.from(Array.from({ length: LAST_NUMBER }, (_, i) => `${i + 1}\n`).join(""));
        must(output.length === wanted.length, `the output has ${output.length} bytes, not ${wanted.length}`);
        must(output.equals(wanted), `the output differs: sha256 ${sha256(output)}, not ${sha256(wanted)}`);
        return `${output.length.toLocaleString("en")} bytes fetched, every one as printed, sha256 ${sha256(output)}`;
      },
    },
  ];
}

function must(right: boolean, otherwise: string): void {
  if (!right) throw new Error(otherwise);
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
