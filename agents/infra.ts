import { runAgent } from "../lib/agent-kit/agent.ts";
import { infraCheck } from "./infra/check.ts";

// The agent `infra`: looks whether endpoints answer and disks have room.
await runAgent({
  name: "infra",
  definition: new URL("infra.yaml", import.meta.url),
  work: { "infra.check": infraCheck },
});
