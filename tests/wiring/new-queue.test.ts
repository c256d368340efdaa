import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { commandToMake, commandToShow } from "../../lib/wiring/new-queue.ts";
import { refusalOf, refusedBy } from "../../lib/wiring/refusals.ts";

const URL = "https://sqs.us-gov-west-1.amazonaws.com/123456789012/waybill-prod-results";
const folder = mkdtempSync(join(tmpdir(), "waybill-new-queue-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command in a shell that has nothing but an `aws` which notes what it is asked; answers its arguments, call by call. */
function run(command: string): string[][] {
  const attributes = '{"VisibilityTimeout":"120","RedrivePolicy":"{\\"deadLetterTargetArn\\":\\"arn:x\\"}"}';
  const aws = `#!/bin/sh
{ printf '%s\\n' "$@"; echo; } >> "${folder}/calls"
case "$2 $*" in
  create-queue*-dlq*) echo https://sqs.example/dlq ;;
  get-queue-attributes*) echo '${attributes}' ;;
esac
`;
  writeFileSync(join(folder, "aws"), aws, { mode: 0o755 });
  rmSync(join(folder, "calls"), { force: true });
  execFileSync("/bin/sh", ["-euc", command], { env: { PATH: `${folder}:/usr/bin:/bin` } });
  const calls = readFileSync(join(folder, "calls"), "utf8").trimEnd().split("\n\n");
  return calls.map((call) => call.split("\n"));
}

test("a command makes the dead letter queue, and the queue with what the deployment's own have, in the region of the stage", () => {
  const [dead = [], asked = [], made = []] = run(commandToMake("waybill-prod-agent-anna", URL));

  for (const call of [dead, asked, made]) expect(call.join(" ")).toContain(" --region us-gov-west-1");
  expect(dead.join(" ")).toMatch(
    /^sqs create-queue .*--queue-name waybill-prod-agent-anna-dlq --attributes \S*=1209600 /,
  );
  expect(asked.join(" ")).toContain(
    "--queue-url https://sqs.example/dlq --attribute-names QueueArn --query to_string({",
  );
  expect(made.join(" ")).toMatch(/--queue-name waybill-prod-agent-anna --attributes \{"Vis.*"RedrivePolicy":.*\}$/);
});

test("it is the same inside JSON as outside, as every command is that tells of a queue", () => {
  const told = [
    commandToMake("waybill-agent-anna", URL),
    commandToShow(URL),
    refusalOf(URL, Object.assign(new Error("gone"), { name: "QueueDoesNotExist" })) ?? "",
    refusedBy(URL, "no"),
  ];

  for (const text of told) {
    expect(JSON.stringify(text)).toBe(`"${text}"`);
    expect(text).toContain("--region us-gov-west-1");
  }
});

test("of another server's queue no region is said: its URL has none", () => {
  expect(commandToShow("http://127.0.0.1:9324/000000000000/waybill-work")).not.toContain("--region");
});
