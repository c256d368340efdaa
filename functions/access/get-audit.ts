import { listAudit } from "../../lib/access/audit/routes.ts";
import { list } from "../../lib/wiring/calls/audit.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";

/** GET /audit: who did what, a page or lines. */
export const handler = httpFunction(functionPlane(), [listAudit, list]);
