import {
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  DetachUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { must } from "../must.ts";
import type { World } from "./world.ts";

/** Somebody who has one policy of the stage and nothing else. */
export type Somebody = { name: string; policy: string; keys: Record<string, string> };

/** Runs `run` with a user who has the policy of this output of the stack; then the user goes. */
export async function withSomebody<T>(world: World, output: string, run: (one: Somebody) => Promise<T>): Promise<T> {
  const { iam } = world;
  const { outputs } = await world.stack();
  const policy = outputs[output] ?? "";
  must(policy !== "", `The stack has no output ${output}.`);
  const name = `waybill-trial-${output}-${Date.now()}`;
  await iam.send(new CreateUserCommand({ UserName: name }));
  await iam.send(new AttachUserPolicyCommand({ UserName: name, PolicyArn: policy }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: name }));
  const { AccessKeyId = "", SecretAccessKey = "" } = AccessKey ?? {};
  try {
    return await run({
      name,
      policy,
      keys: { AWS_ACCESS_KEY_ID: AccessKeyId, AWS_SECRET_ACCESS_KEY: SecretAccessKey },
    });
  } finally {
    await iam.send(new DetachUserPolicyCommand({ UserName: name, PolicyArn: policy })).catch(() => {});
    await iam.send(new DeleteAccessKeyCommand({ UserName: name, AccessKeyId }));
    await iam.send(new DeleteUserCommand({ UserName: name }));
  }
}
