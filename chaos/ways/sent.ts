import type { Sent } from "../history/history.ts";
import type { QueueCall } from "./queue-proxy.ts";

type Entry = { MessageBody?: string };

/** The bodies that a call puts on a queue; none where it sends nothing. */
export function bodiesOf({ action, input }: Pick<QueueCall, "action" | "input">): string[] {
  const entries =
    action === "SendMessageBatch" ? (input["Entries"] as Entry[]) : action === "SendMessage" ? [input] : [];
  return entries.map(({ MessageBody = "" }: Entry) => MessageBody);
}

/** The protocol's messages among what a call puts on a queue. */
export function sentIn(call: QueueCall, at: number): Sent[] {
  return bodiesOf(call).flatMap((body) => {
    const { type, taskId, attempt } = outlineOf(body);
    return type === undefined || taskId === undefined
      ? []
      : [{ at, by: call.by, type, taskId, attempt, to: call.queue }];
  });
}

/** What kind of message a body is and about which work, as far as that can be read. */
export function outlineOf(body: string): { type?: string; taskId?: string; attempt: number | null; status?: string } {
  try {
    const { type, payload } = JSON.parse(body) as {
      type?: string;
      payload?: { task_id?: string; attempt?: number; status?: string };
    };
    const { task_id, attempt = null, status } = payload ?? {};
    return {
      ...(type === undefined ? {} : { type }),
      ...(task_id === undefined ? {} : { taskId: task_id }),
      ...(status === undefined ? {} : { status }),
      attempt,
    };
  } catch {
    return { attempt: null };
  }
}
