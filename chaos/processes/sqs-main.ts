// SQS in a process of its own, so that the harness can kill it.
import { startSqs } from "../../localstack/parts/sqs.ts";

await startSqs({ port: Number(process.env["CHAOS_SQS_PORT"]), dataDir: process.env["CHAOS_SQS_DATA"] ?? "" });
process.send?.("ready");
