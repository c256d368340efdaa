import * as z from "zod";
import { setting } from "../../lib/runtime/settings.ts";

/** The settings of the local stack; docs and .env.example have them from here. */
export const localSettings = {
  dataDir: setting({
    env: "WAYBILL_DATA",
    says: "The folder in which the local stack keeps database, queues and logs.",
    takes: z.string(),
    default: ".waybill",
  }),
  sweepSeconds: setting({
    env: "WAYBILL_SWEEP_SECONDS",
    says: "How often the local stack runs the sweep; on AWS it runs every minute.",
    unit: "seconds",
    takes: z
      .string()
      .transform((text) => (/^[\d.]+$/.test(text) ? Number(text) : Number.NaN))
      .refine((seconds) => seconds > 0 && seconds <= 3600, {
        error: "must be a number of seconds above 0 and up to 3600, such as 5",
      }),
    default: "5",
  }),
};
