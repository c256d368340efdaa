import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

const RUN = `
const { serverless } = await import("./bin/deploy/serverless.ts");
console.log("It ended with", await serverless(["package", "--stage", "cut", "--region", "eu-central-1"]));
`;

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s ends the framework, and we go on to tell what is true",
  async (signal) => {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", RUN]);
    const said = text(child.stdout);
    await once(child.stdout, "readable");
    child.kill(signal);

    expect(await said).toContain("It ended with 1");
  },
);
