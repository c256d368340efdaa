import { auditRoutes } from "../access/audit/routes.ts";
import { keyRoutes } from "../access/keys/routes.ts";
import { memberRoutes } from "../access/members/routes.ts";
import { signingRoutes } from "../access/signing/routes.ts";
import { llmRoutes } from "../llm/routes.ts";
import { agentRoutes } from "../registry/routes.ts";
import { reportRoutes } from "../reports/routes.ts";
import type { Route } from "../runtime/http/route.ts";
import { systemRoutes } from "../runtime/http/routes.ts";
import { workRoutes } from "../work/core/routes.ts";
import type { FunctionName } from "./functions.ts";

/**
 * Every call of the HTTP API. A new room adds its routes here, and they are served, documented and authorised. Each names a
 * function of functions.ts, or this does not compile.
 */
export const routes: readonly (Route & { function: FunctionName })[] = [
  ...workRoutes,
  ...agentRoutes,
  ...reportRoutes,
  ...llmRoutes,
  ...keyRoutes,
  ...memberRoutes,
  ...auditRoutes,
  ...signingRoutes,
  ...systemRoutes,
];
