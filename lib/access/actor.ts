/**
 * For whom a use case acts. `anonymous`: nobody was asked, as on the local stack or a stage with authorization NONE; `iam`: who
 * signed the call; `system`: the control plane itself, such as its sweep.
 */
export type Actor =
  | { kind: "anonymous" }
  | { kind: "iam"; arn: string; account: string }
  | { kind: "system"; name: string };

/** What API Gateway or a function URL says of who signed a call; undefined where nobody had to. */
export type Signature = { userArn: string; accountId: string };

/** The actor of a call. */
export function actorOf(signature: Signature | undefined): Actor {
  return signature === undefined
    ? { kind: "anonymous" }
    : { kind: "iam", arn: signature.userArn, account: signature.accountId };
}

/** The actor of what no caller asked for: the function's name says what did. */
export function system(name: string): Actor {
  return { kind: "system", name };
}

/** An actor in one word, for a log line. */
export function tellActor(actor: Actor): string {
  switch (actor.kind) {
    case "anonymous":
      return "anonymous";
    case "iam":
      return actor.arn;
    case "system":
      return `system:${actor.name}`;
  }
}
