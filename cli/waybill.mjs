#!/usr/bin/env node
// `npx waybill` comes here on whatever Node there is: plain JavaScript, which goes on where that is one that runs TypeScript.
const [major = 0] = process.versions.node.split(".").map(Number);
if (major >= 24) {
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2));
} else {
  console.error(
    `This is Node ${process.versions.node}; waybill runs on Node 24.\nCall it by npm, which has that: npx waybill`,
  );
  process.exitCode = 1;
}
