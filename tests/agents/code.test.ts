import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCodeEnv } from "../../agents/code/env.ts";
import { ask, cancel, listen, spawnAgent, type TestAgent, testFolder, until } from "../support/agents/agent.ts";

// A real code agent over a folder of this test's own.
const folder = realpathSync(testFolder());
const outside = realpathSync(testFolder());
const allowed = join(folder, "allowed");
const heard = listen();
let agent: TestAgent;

beforeAll(async () => {
  mkdirSync(join(allowed, "sub"), { recursive: true });
  mkdirSync(join(folder, "allowed-not"));
  writeFileSync(join(allowed, "file.txt"), "inside\n");
  writeFileSync(join(outside, "secret.txt"), "secret\n");
  symlinkSync(outside, join(allowed, "way-out"));
  symlinkSync(join(outside, "secret.txt"), join(allowed, "secret-link"));
  symlinkSync(join(allowed, "sub"), join(allowed, "way-in"));
  agent = await spawnAgent("agents/code.ts", "code", {
    WAYBILL_AGENT_DATA: join(folder, "data"),
    WAYBILL_CODE_FOLDERS: allowed,
    WAYBILL_CODE_OUTPUT_BYTES: "3000000",
    AGENT_CONCURRENCY: "8",
    SOME_SECRET: "hidden",
  });
});
afterAll(async () => {
  await agent.crash();
});

async function run(parameters: object) {
  const asked = await ask("code", "code.run", parameters);
  const result = await heard.result(asked);
  const expected = Number(result.metrics?.["output_bytes"]);
  await until("all output is there", () => heard.output(asked).length >= expected);
  return { asked, result, output: heard.output(asked) };
}

test("a listed command runs in the allowed folder, and its output is what it wrote", async () => {
  const { asked, result, output } = await run({ command: "ls", args: ["-1"] });

  expect(result).toMatchObject({ status: "completed", exit_code: 0, metrics: { stderr_bytes: 0, steps: 1 } });
  expect(output.toString()).toBe("file.txt\nsecret-link\nsub\nway-in\nway-out\n");
  expect(heard.steps(asked)[0]).toMatchObject({ step_number: 1, action: "ls -1" });
});

test("arguments are taken as they are: there is no shell", async () => {
  const args = ["$HOME", "`ls`", "a b", "; ls", "*", "ü\n"];

  const { output } = await run({ command: "printf", args: ["%s|", ...args] });

  expect(output.toString()).toBe(args.map((arg) => `${arg}|`).join(""));
});

test("a command whose exit code is not 0 fails with that code and the last lines of stderr", async () => {
  const script = "console.log('out'); console.error('first'); console.error('it broke'); process.exit(3)";

  const { asked, result, output } = await run({ command: "node", args: ["-e", script] });

  expect(result).toMatchObject({ status: "failed", exit_code: 3, error_message: "exit code 3: first\nit broke" });
  expect(output.toString()).toContain("it broke\n");
  expect(heard.steps(asked).find(({ status }) => status === "failed")?.summary).toBe("exit code 3: first\nit broke");
});

test.each([
  ["true", "completed", 0],
  ["false", "failed", 1],
])("%s is %s", async (command, status, exit_code) => {
  const { result } = await run({ command });

  expect(result).toMatchObject({ status, exit_code });
});

test("a command that a signal ends fails with 128 and the signal's number", async () => {
  const { result } = await run({ command: "node", args: ["-e", "process.kill(process.pid, 'SIGKILL')"] });

  expect(result).toMatchObject({ status: "failed", exit_code: 137, error_message: "ended by SIGKILL" });
});

test("over two megabytes of output come whole", async () => {
  const { result, output } = await run({ command: "seq", args: ["1", "350000"] });

  expect(result.status).toBe("completed");
  expect(output.length).toBeGreaterThan(2_000_000);
  expect(output.equals(execFileSync("seq", ["1", "350000"], { maxBuffer: 1e7 }))).toBe(true);
});

test("output that is no text comes byte for byte", async () => {
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256));
  writeFileSync(join(allowed, "sub", "binary"), bytes);

  const { output } = await run({ command: "cat", args: ["sub/binary"] });

  expect(output.equals(bytes)).toBe(true);
});

test("output is told as it comes, before the command has ended", async () => {
  const script = "process.stdout.write('early'); setInterval(() => {}, 1000)";
  const asked = await ask("code", "code.run", { command: "node", args: ["-e", script] });

  await until("the early output is told", () => heard.output(asked).toString() === "early");

  expect(heard.results(asked)).toEqual([]);
  await cancel(asked);
});

test("a command that writes more than the limit is stopped, and what it wrote is kept", async () => {
  const { result, output } = await run({ command: "seq", args: ["1", "99999999"] });

  expect(result.status).toBe("failed");
  expect(result.error_message).toMatch(/^wrote more than 3000000 bytes of output.*WAYBILL_CODE_OUTPUT_BYTES/);
  expect(output.length).toBe(3_000_000);
});

/** What has left its process group is found on Linux alone. */
const families = process.platform === "linux" ? (["withChild", "withDaemon"] as const) : (["withChild"] as const);

test.each(families)("a command that takes too long is ended with all that it started: %s", async (family) => {
  const { result, output } = await run({ command: "node", args: ["-e", scripts[family]], timeout_seconds: 3 });

  expect(result.status).toBe("failed");
  expect(result.error_message).toBe("5006 timed_out: timed out after 3 s");
  await until("its child has ended too", () => !isAlive(Number(output)));
});

test("a command that is stopped gets SIGTERM once, and time to end", async () => {
  const script =
    "process.on('SIGTERM', () => { console.log('told'); setTimeout(process.exit, 150) }); setInterval(() => {}, 1000)";

  const { result, output } = await run({ command: "node", args: ["-e", script], timeout_seconds: 3 });

  expect([output.toString(), result.exit_code]).toEqual(["told\n", 0]);
});

test.each(families)("cancelled work ends its command with all that it started: %s", async (family) => {
  const asked = await ask("code", "code.run", { command: "node", args: ["-e", scripts[family]] });
  const pid = await until("its child runs", () => Number(heard.output(asked)) || undefined);
  expect(isAlive(pid)).toBe(true);

  await cancel(asked);

  await until("its child has ended", () => !isAlive(pid));
  await until("its step has ended", () => heard.steps(asked).some(({ summary }) => summary === "cancelled"));
  expect(heard.results(asked)).toEqual([]);
});

test.each(families.flatMap((family) => [["once", family, 0, 1] as const, ["twice", family, 130, 0] as const]))(
  "an agent that is told %s to stop leaves no command behind: %s",
  async (_how, family, code, handedBack) => {
    const other = await spawnAgent("agents/code.ts", "desktop", {
      WAYBILL_AGENT_DATA: join(folder, `data-${family}-${code}`),
      AGENT_GRACE_SECONDS: code === 0 ? "0" : "60",
    });
    const parameters = { command: "node", args: ["-e", scripts[family]] };
    const asked = await ask("desktop", "code.run", parameters, { to_agent: "code" });
    const pid = await until("its child runs", () => Number(heard.output(asked)) || undefined);

    other.child.kill("SIGTERM");
    await until("it is stopping", () => other.stderr().includes("agent stopping"));
    if (code !== 0) other.child.kill("SIGTERM");

    expect(await other.exit).toEqual({ code, signal: null });
    await until("its child has ended", () => !isAlive(pid));
    const approved = () => heard.statuses(asked).filter(({ payload }) => payload.status === "approved");
    await until("it is handed back where it could be", () => approved().length === handedBack);
    expect(heard.results(asked)).toEqual([]);
  },
);

test("what a command leaves running behind is ended with it", async () => {
  const script = `${startChild} child.unref(); console.log(child.pid)`;

  const { result, output } = await run({ command: "node", args: ["-e", script] });

  expect(result.status).toBe("completed");
  await until("what it left has ended", () => !isAlive(Number(output)));
});

test("the command sees a minimal environment and nothing to read", async () => {
  const script = "process.stdin.on('data', () => {}).on('end', () => console.log(Object.keys(process.env).join()))";

  const { output } = await run({ command: "node", args: ["-e", script] });

  const names = output.toString().trim().split(",");
  const known = [
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "PATH",
    "GIT_TERMINAL_PROMPT",
    "WAYBILL_COMMAND",
  ];
  expect(names.filter((name) => !known.includes(name))).toEqual([]);
});

test("node is the one that runs the agent", async () => {
  const { output } = await run({ command: "node", args: ["-p", "process.version"] });

  expect(output.toString().trim()).toBe(process.version);
});

test.each([
  ["a command that is not on the list", { command: "sh", args: ["-c", "ls"] }, /"sh" is not on the list/],
  ["a command by its path", { command: "/bin/ls" }, /"\/bin\/ls" is not on the list/],
  ["a command by a path of the folder", { command: "./ls" }, /not on the list/],
  ["a folder outside", { command: "ls", cwd: outside }, /not inside .*WAYBILL_CODE_FOLDERS/],
  ["a folder above", { command: "ls", cwd: ".." }, /not inside/],
  ["a folder whose name only begins like an allowed one", { command: "ls", cwd: "../allowed-not" }, /not inside/],
  ["a symbolic link that leads out", { command: "ls", cwd: "way-out" }, /not inside/],
  ["a folder that does not exist", { command: "ls", cwd: "missing" }, /does not exist/],
  ["a folder that is a file", { command: "ls", cwd: "file.txt" }, /is not a folder/],
  ["an argument above", { command: "cat", args: ["../../etc/passwd", ".."] }, /argument "\.\." leads outside/],
  ["an argument outside", { command: "cat", args: ["/etc/passwd"] }, /"\/etc\/passwd" leads outside/],
  ["an argument that is a link out", { command: "cat", args: ["secret-link"] }, /"secret-link" leads outside/],
  ["an option with a path outside", { command: "grep", args: ["-r", "--file=/etc/passwd"] }, /leads outside/],
  ["a file to be made outside", { command: "git", args: ["init", "/tmp/waybill-never-made"] }, /leads outside/],
  ["find that runs a program", { command: "find", args: [".", "-exec", "id", ";"] }, /find -exec is not allowed/],
])("%s is refused", async (_what, parameters, reason) => {
  const { asked, result } = await run(parameters);

  expect(result.status).toBe("failed");
  expect(result.error_message).toMatch(/^5005 refused: /);
  expect(result.error_message).toMatch(reason);
  expect(heard.steps(asked)).toEqual([]);
});

test.each([
  ["a folder inside", { command: "ls", cwd: "sub" }],
  ["a link that stays inside", { command: "ls", cwd: "way-in" }],
  ["the folder by its full path", { command: "ls", args: [allowed], cwd: allowed }],
  ["a pattern that looks like a path", { command: "find", args: [".", "-path", "/api/v1"] }],
  ["text that looks like a path", { command: "echo", args: ["/etc/passwd"] }],
])("%s is allowed", async (_what, parameters) => {
  const { result } = await run(parameters);

  expect(result.status).toBe("completed");
});

test.each([
  [{ command: "" }, "command must not be empty"],
  [{ command: "ls", args: "-l" }, "args must be a list"],
  [{ command: "ls", timeout_seconds: 0 }, "timeout_seconds must be more than 0"],
  [{ command: "ls", shell: true }, "shell is not a known field"],
])("parameters %j are refused by field", async (parameters, reason) => {
  const { result } = await run(parameters);

  expect(result.error_message).toContain("5004 invalid_parameters");
  expect(result.error_message).toContain(reason);
});

test.each([
  [{ WAYBILL_CODE_COMMANDS: "ls,/bin/sh" }, /WAYBILL_CODE_COMMANDS: "\/bin\/sh" is not a bare command name/],
  [{ WAYBILL_CODE_COMMANDS: "ls,,cat" }, /WAYBILL_CODE_COMMANDS: ""/],
  [{ WAYBILL_CODE_FOLDERS: "/missing/folder" }, /WAYBILL_CODE_FOLDERS: \/missing\/folder does not exist/],
  [{ WAYBILL_CODE_OUTPUT_BYTES: "many" }, /WAYBILL_CODE_OUTPUT_BYTES must be a whole number/],
])("the configuration %j is refused", (source, reason) => {
  expect(() => readCodeEnv(source)).toThrow(reason);
});

test("without configuration the folder is where the agent was started", () => {
  expect(readCodeEnv({})).toMatchObject({ folders: [realpathSync(process.cwd())], outputBytes: 67_108_864 });
});

test("code.inspect counts files and lines by language and lists TODO and FIXME, following no link", async () => {
  const source = join(allowed, "source");
  mkdirSync(join(source, "node_modules"), { recursive: true });
  mkdirSync(join(source, "lib"));
  writeFileSync(join(source, "lib", "a.ts"), "one\n// TODO write it\nthree");
  writeFileSync(join(source, "b.ts"), "// FIXME: now\n");
  writeFileSync(join(source, "c.py"), "x = 1\n");
  writeFileSync(join(source, "picture.png"), Buffer.from([0, 1, 2]));
  writeFileSync(join(source, "node_modules", "d.ts"), "// TODO not ours\n");
  symlinkSync(outside, join(source, "out"));

  const asked = await ask("code", "code.inspect", { folder: "source" });
  const result = await heard.result(asked);
  await until("all output is there", () => heard.output(asked).length >= Number(result.metrics?.["output_bytes"]));

  expect(result).toMatchObject({
    status: "completed",
    metrics: { files: 4, notes: 2, languages: { TypeScript: { files: 2, lines: 4 }, Python: { files: 1, lines: 1 } } },
  });
  expect(heard.output(asked).toString()).toBe(
    "4 files\nTypeScript: 2 files, 4 lines\nPython: 1 files, 1 lines\nb.ts:1: FIXME: now\nlib/a.ts:2: TODO write it\n",
  );
  const refusedFolder = await heard.result(await ask("code", "code.inspect", { folder: "way-out" }));
  expect(refusedFolder.error_message).toMatch(/^5005 refused: /);
});

const startChild = `
  const child = require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });`;
/** Runs a script in a session, and so in a process group, of its own. */
const apart = (script: string, stdout: "inherit" | "ignore") => `
  const apart = require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(script)}], {
    detached: true, stdio: ["ignore", "${stdout}", "ignore"] });
  apart.unref();`;
const stubborn = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000);';
/** Each starts a process that would live on, says its pid and waits; one of the two ignores SIGTERM. */
const scripts = {
  withChild: `${startChild}
    process.on("SIGTERM", () => {});
    console.log(child.pid);
    setInterval(() => {}, 1000);`,
  /** As daemons do it: nobody's child in the end, as the one that started it has ended. */
  withDaemon: `${apart(`${apart(stubborn, "ignore")} console.log(apart.pid);`, "inherit")}
    setInterval(() => {}, 1000);`,
};

/** Whether a process runs; one that has ended and was not waited for (a zombie, in a container without an init) does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync("/proc/self/stat") || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
