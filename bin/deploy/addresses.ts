import type { Stack } from "./stack.ts";
import { ours, type Target, valueOfTarget } from "./target.ts";

/** What a caller, an agent and an operator of a stage need: addresses, queues, policies, and who gets the alarms. */
export function tellAddresses(target: Target, { outputs }: Stack): string[] {
  const named = (ending: RegExp) => Object.entries(outputs).filter(([name]) => ending.test(name));
  const mail = valueOfTarget(target, "alarmEmail");
  const stream = outputs["LlmStreamUrl"] ?? "";
  return [
    ...lines("Addresses", [
      ["HTTP API", outputs["HttpApiUrl"] ?? ""],
      ["LLM gateway", `${outputs["HttpApiUrl"] ?? ""}/llm/v1`],
      ["LLM gateway, streams", stream],
    ]),
    ...lines("Queues", named(/QueueUrl$/)),
    ...lines("Policies", named(/PolicyArn$/)),
    ...lines("Alarms", [["topic", outputs["AlarmTopicArn"] ?? ""]]),
    mail === ""
      ? `  They tell nobody. Say alarmEmail in ${target.stage.file}, subscribe to the topic, then: ${ours(target)}`
      : `  They go to ${mail}, once the first mail is confirmed.`,
  ];
}

function lines(title: string, entries: readonly [string, string][]): string[] {
  return entries.length === 0 ? [] : [title, ...entries.map(([name, value]) => `  ${name.padEnd(26)}${value}`)];
}
