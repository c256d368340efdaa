import * as z from "zod";
import { must } from "../lib/input/faults.ts";
import { setting } from "../lib/runtime/settings.ts";

/** What the command `waybill` reads of the environment. */
export const cliSettings = {
  url: setting({
    env: "WAYBILL_URL",
    says: "The HTTP API that the command waybill calls; without it that of the stack which npm start runs.",
    takes: z.url({ protocol: /^https?$/, ...must("be the URL of Waybill's HTTP API") }),
    optional: true,
    otherwise: "http://127.0.0.1:3000",
  }),
};
