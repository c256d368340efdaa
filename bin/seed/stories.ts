import type { Decision, Status } from "../../lib/work/core/lifecycle.ts";
import type { StoryAttempt } from "./calls.ts";

/** A step of a sample task; `at` in seconds after the task was submitted. */
export type StoryStep = {
  at: number;
  action: string;
  ms?: number;
  status?: "running" | "completed" | "failed";
  attempt?: number;
  summary?: string;
  output?: string;
};

/** One sample task and all that happened to it; every time is in seconds after it was submitted. */
export type Story = {
  /** Names it for ever: a task whose key is in the database is not written again. */
  key: string;
  hoursAgo: number;
  status: Status;
  agent: string;
  work_type: string;
  request_text: string;
  created_by: string;
  parameters?: Record<string, unknown>;
  priority?: number;
  max_attempts?: number;
  needsApproval?: boolean;
  approved?: { at: number; by: string; reason: string };
  decisions?: { at: number; decision: Decision; by: string; reason?: string; before: Status; after: Status }[];
  /** Its latest attempt. */
  attempt?: { number: number; used: number; dispatched: number; started: number; ended?: number; progress?: number };
  ended?: number;
  exit_code?: number;
  error_message?: string;
  estimated_resources?: Record<string, number>;
  actual_resources?: Record<string, number>;
  /** Its attempts at language models, which went through the gateway. */
  calls?: StoryAttempt[];
  steps?: StoryStep[];
};

const policy = (workType: string) => ({
  at: 0,
  by: "policy",
  reason: `no policy asks for a person to approve ${workType}`,
});

/** Every status, oldest first. */
export const stories: Story[] = [
  {
    key: "inspect-billing",
    hoursAgo: 130,
    status: "completed",
    agent: "code",
    work_type: "code.inspect",
    request_text: "Count the lines of the billing service by language and list its TODOs",
    created_by: "maria",
    parameters: { folder: "services/billing" },
    approved: policy("code.inspect"),
    attempt: { number: 1, used: 1, dispatched: 0.2, started: 1 },
    ended: 9.4,
    exit_code: 0,
    estimated_resources: { cpu_seconds: 10, memory_mb: 128 },
    actual_resources: { cpu_seconds: 6.1, memory_mb: 94, files: 412 },
    steps: [
      { at: 1, action: "list files", ms: 850, summary: "412 files in 37 folders" },
      { at: 1.9, action: "count lines", ms: 5400, summary: "TypeScript 48210, SQL 2914, YAML 733" },
      {
        at: 7.4,
        action: "collect TODOs",
        ms: 1900,
        summary: "3 TODOs, the oldest from 2023",
        output: [
          "src/invoice.ts:88: TODO round each line, not the sum",
          "src/tax.ts:12: TODO reduced rate for books",
          "src/mail.ts:140: TODO try again after 450",
          "",
        ].join("\n"),
      },
    ],
  },
  {
    key: "rotate-certificates",
    hoursAgo: 110,
    status: "rejected",
    agent: "infra",
    work_type: "infra.rotate",
    request_text: "Replace the certificates of all gateways now",
    created_by: "jonas",
    needsApproval: true,
    decisions: [
      {
        at: 1260,
        decision: "reject",
        by: "maria",
        reason: "not on a Friday; put it into the window of Tuesday night",
        before: "pending",
        after: "rejected",
      },
    ],
    ended: 1260,
  },
  {
    key: "check-gateways",
    hoursAgo: 96,
    status: "completed",
    agent: "infra",
    work_type: "infra.check",
    request_text: "Check that both gateways answer and have disk left",
    created_by: "jonas",
    parameters: { targets: [{ type: "http", url: "http://127.0.0.1:3000/health" }] },
    priority: 7,
    approved: policy("infra.check"),
    decisions: [
      { at: 900, decision: "retry", by: "jonas", reason: "gateway-2 is back", before: "failed", after: "approved" },
    ],
    attempt: { number: 2, used: 1, dispatched: 900.3, started: 901 },
    ended: 904.2,
    exit_code: 0,
    actual_resources: { cpu_seconds: 0.3, probes: 3 },
    steps: [
      { at: 1.1, attempt: 1, action: "probe gateway-1", ms: 240, summary: "200 in 0.2 s" },
      {
        at: 1.4,
        attempt: 1,
        action: "probe gateway-2",
        ms: 5000,
        status: "failed",
        summary: "connect ETIMEDOUT 10.0.4.12:443",
      },
      { at: 901, attempt: 2, action: "probe gateway-1", ms: 210, summary: "200 in 0.2 s" },
      { at: 901.3, attempt: 2, action: "probe gateway-2", ms: 480, summary: "200 in 0.5 s" },
      { at: 901.9, attempt: 2, action: "measure disks", ms: 2100, summary: "gateway-1 61 % free, gateway-2 58 % free" },
    ],
  },
  {
    key: "summarise-incidents",
    hoursAgo: 73,
    status: "completed",
    agent: "research",
    work_type: "research.summarise",
    request_text: "Summarise last month's incidents for the quarterly review, in two pages",
    created_by: "lea",
    needsApproval: true,
    approved: { at: 420, by: "maria", reason: "budget of 1 USD agreed" },
    decisions: [
      {
        at: 420,
        decision: "approve",
        by: "maria",
        reason: "budget of 1 USD agreed",
        before: "pending",
        after: "approved",
      },
    ],
    attempt: { number: 1, used: 1, dispatched: 420.4, started: 421 },
    ended: 569,
    exit_code: 0,
    estimated_resources: { tokens: 60_000, cost_usd: 0.8 },
    actual_resources: { cpu_seconds: 4.8, memory_mb: 210, tokens: 58_210 },
    calls: [
      { at: 424.6, model: "claude-sonnet", ms: 41_200, first_token_ms: 820, input: 9420, output: 12_300 },
      { at: 466, model: "claude-sonnet", ms: 38_900, first_token_ms: 760, input: 8550, output: 11_600 },
      { at: 506.1, model: "claude-sonnet", ms: 240, error: { class: "server_error", status: 529 } },
      { at: 506.4, model: "gpt-mini", number: 2, ms: 21_500, first_token_ms: 610, input: 8030, output: 4400 },
      { at: 529.1, model: "llama-local", ms: 9500, first_token_ms: 340, input: 3100, output: 810 },
    ],
    steps: [
      { at: 421, action: "collect reports", ms: 3200, summary: "14 incident reports, 96 kB" },
      { at: 424.5, action: "summarise each", ms: 81_000, summary: "14 summaries by claude-sonnet" },
      {
        at: 506,
        action: "group by cause",
        ms: 22_400,
        summary: "configuration 6, capacity 4, dependency 3, unknown 1; by gpt-mini",
      },
      { at: 529, action: "check figures", ms: 9800, summary: "all 23 figures found in the sources; by llama-local" },
      {
        at: 539,
        action: "write summary",
        ms: 28_900,
        summary: "two pages, 812 words",
        output: "# Incidents of last month\n\nFourteen incidents, six of them after a change of configuration.\n",
      },
    ],
  },
  {
    key: "test-checkout",
    hoursAgo: 50,
    status: "failed",
    agent: "code",
    work_type: "code.run",
    request_text: "Run the tests of the checkout service",
    created_by: "lea",
    parameters: { command: "npm", args: ["test"] },
    approved: policy("code.run"),
    attempt: { number: 1, used: 1, dispatched: 0.3, started: 1 },
    ended: 38.6,
    exit_code: 1,
    error_message: "exit code 1: 2 of 318 tests failed: refund rounds half a cent, voucher expires at midnight",
    actual_resources: { cpu_seconds: 61.5, memory_mb: 540, stdout_bytes: 18_214 },
    steps: [
      { at: 1, action: "git status", ms: 140, summary: "clean, at 4be1c07" },
      { at: 1.3, action: "npm ci", ms: 14_600, summary: "added 431 packages" },
      {
        at: 16,
        action: "npm test",
        ms: 22_500,
        status: "failed",
        summary: "exit code 1: 2 of 318 tests failed: refund rounds half a cent, voucher expires at midnight",
        output:
          "not ok 112 refund rounds half a cent\nnot ok 245 voucher expires at midnight\n# 318 tests, 316 passed, 2 failed\n",
      },
    ],
  },
  {
    key: "reindex-search",
    hoursAgo: 30,
    status: "failed",
    agent: "infra",
    work_type: "infra.reindex",
    request_text: "Rebuild the search index of the help centre",
    created_by: "jonas",
    max_attempts: 2,
    approved: policy("infra.reindex"),
    attempt: { number: 2, used: 2, dispatched: 320, started: 321 },
    ended: 742,
    error_message: "agent infra fell silent: its lease ran out (attempt 2 of 2)",
    steps: [
      { at: 2, attempt: 1, action: "read articles", ms: 48_000, summary: "9120 articles" },
      {
        at: 51,
        attempt: 1,
        action: "build index",
        status: "failed",
        ms: 190_000,
        summary: "out of memory at 7300 of 9120 articles",
      },
      { at: 321, attempt: 2, action: "read articles", ms: 47_100, summary: "9120 articles" },
      { at: 369, attempt: 2, action: "build index", status: "running" },
    ],
  },
  {
    key: "export-slides",
    hoursAgo: 27,
    status: "cancelled",
    agent: "desktop",
    work_type: "desktop.export",
    request_text: "Export the slides of all teams as PDF",
    created_by: "lea",
    approved: policy("desktop.export"),
    decisions: [
      { at: 95, decision: "cancel", by: "lea", reason: "wrong folder", before: "executing", after: "cancelled" },
    ],
    attempt: { number: 1, used: 1, dispatched: 0.2, started: 2, progress: 0.15 },
    ended: 95,
    steps: [
      { at: 2, action: "open folder", ms: 1100, summary: "143 presentations" },
      { at: 3.2, action: "export", status: "running", summary: "21 of 143" },
    ],
  },
  {
    key: "window-clean-up",
    hoursAgo: 20,
    status: "approved",
    agent: "desktop",
    work_type: "desktop.clean-up",
    request_text: "Remove the test accounts when the old console is switched off",
    created_by: "maria",
    needsApproval: true,
    approved: { at: 3600, by: "jonas", reason: "only after the switch-off" },
    decisions: [
      {
        at: 3600,
        decision: "approve",
        by: "jonas",
        reason: "only after the switch-off",
        before: "pending",
        after: "approved",
      },
    ],
  },
  {
    key: "greet-after-approval",
    hoursAgo: 3,
    status: "pending",
    agent: "code",
    work_type: "code.run",
    request_text: "Say that approved work is really done",
    created_by: "lea",
    parameters: { command: "echo", args: ["approved, and done"] },
    needsApproval: true,
  },
  {
    key: "record-walkthrough",
    hoursAgo: 0.4,
    status: "executing",
    // No agent of a deployment, so that this takes nobody's place.
    agent: "studio",
    work_type: "studio.record",
    request_text: "Record a walkthrough of the new console, six scenes",
    created_by: "maria",
    approved: policy("studio.record"),
    attempt: { number: 1, used: 1, dispatched: 0.3, started: 2, progress: 0.4 },
    steps: [
      { at: 2, action: "start browser", ms: 3900, summary: "1440 x 900" },
      { at: 6, action: "record scenes 1 and 2", ms: 412_000, summary: "2 of 6 scenes, 6 min 52 s" },
      { at: 419, action: "record scenes 3 and 4", status: "running" },
    ],
  },
];
