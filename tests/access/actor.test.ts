import { expect, test } from "vitest";
import { actorOf, system, tellActor } from "../../lib/access/actor.ts";

test("a signed call acts for its principal, any other for nobody in particular", () => {
  const signature = { userArn: "arn:aws:iam::123456789012:user/ada", accountId: "123456789012" };

  expect(actorOf(signature)).toEqual({ kind: "iam", arn: signature.userArn, account: signature.accountId });
  expect(actorOf(undefined)).toEqual({ kind: "anonymous" });
});

test("a log line names each actor in one word", () => {
  const signed = actorOf({ userArn: "arn:aws:iam::1:user/ada", accountId: "1" });

  expect([signed, actorOf(undefined), system("sweep")].map(tellActor)).toEqual([
    "arn:aws:iam::1:user/ada",
    "anonymous",
    "system:sweep",
  ]);
});
