import * as z from "zod";
import { must } from "./faults.ts";

const AGENT_NAME = must("be a lower-case name of letters, digits, - and _, at most 63 characters");

/** `orchestrator`, or an agent: built in are `infra`, `desktop`, `code` and `research`. */
export const AgentName = z.string(AGENT_NAME).regex(/^[a-z][a-z0-9_-]{0,62}$/, AGENT_NAME);
