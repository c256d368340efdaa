import { startSqs } from "../localstack/parts/sqs.ts";

// The SQS emulator in a process of its own, so that it does not share a core with what is measured.
const server = await startSqs({ port: 0 });
process.send?.({ endpoint: server.endpoint });
process.once("disconnect", () => process.exit(0));
