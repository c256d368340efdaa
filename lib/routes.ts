import { llmRoutes } from "./llm/routes.ts";
import { agentRoutes } from "./registry/routes.ts";
import type { Route } from "./runtime/http.ts";
import { systemRoutes } from "./runtime/routes.ts";
import { reportRoutes } from "./work/reports/routes.ts";
import { workRoutes } from "./work/routes.ts";

/** Every call of the HTTP API. A new domain adds its routes here, and they are in the document. */
export const routes: readonly Route[] = [...workRoutes, ...agentRoutes, ...reportRoutes, ...llmRoutes, ...systemRoutes];
