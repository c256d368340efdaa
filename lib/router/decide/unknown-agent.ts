import { CallerError } from "../../errors.ts";
import { ORCHESTRATOR } from "../../protocol/messages.ts";

/** The error, 400, for a to_agent that is none of the agents; it lists their names. */
export function unknownAgent(toAgent: string | undefined, names: readonly string[]): CallerError {
  const agents = names.filter((name) => name !== ORCHESTRATOR).toSorted();
  const why = toAgent === ORCHESTRATOR ? "is not an agent" : "is not known";
  const message = `${why}. ${agents.length === 0 ? "There are no agents yet." : `Agents are: ${agents.join(", ")}.`}`;
  return new CallerError(400, "invalid_input", `to_agent ${message}`, { fields: [{ field: "to_agent", message }] });
}
