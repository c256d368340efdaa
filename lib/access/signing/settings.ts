import * as z from "zod";
import { must } from "../../input/faults.ts";
import { setting, type Values } from "../../runtime/settings.ts";

const secret = z
  .string()
  .min(32, must("have at least 32 characters, such as openssl rand -base64 32 makes"))
  .max(10_000);

/** With what the control plane signs what it tells agents, and what it asks of what they say. */
export const signingSettings = {
  secret: setting({
    env: "SIGNING_SECRET",
    says: "The secret from which the key comes that signs what agents are told; npm start makes one in its data folder.",
    takes: secret,
    optional: true,
    or: "SIGNING_SECRET_ARN",
  }),
  previous: setting({
    env: "SIGNING_SECRET_PREVIOUS",
    says: "The secret before the last rotation: agents take its signatures while it is set. That of SIGNING_SECRET_ARN is its AWSPREVIOUS.",
    takes: secret,
    optional: true,
  }),
  secretArn: setting({
    env: "SIGNING_SECRET_ARN",
    says: "Secrets Manager secret with the text of SIGNING_SECRET. Read again every five minutes, so it rotates by itself.",
    takes: z.string().startsWith("arn:"),
    optional: true,
  }),
  signatures: setting({
    env: "AGENT_SIGNATURES",
    says:
      "required: what agents say counts only with their signature. optional: also without one, for agents of yours that do not sign " +
      "yet; health warns meanwhile.",
    takes: z.enum(["required", "optional"]),
    default: "required",
  }),
};
/** As readSettings reads them. */
export type SigningSettings = Values<typeof signingSettings>;
