import { system } from "../../lib/access/actor.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { listWork as route } from "../../lib/work/core/routes.ts";
import { listWork } from "../../lib/work/reading/list-work.ts";

const db = connect();
const actor = system("http");

/** GET /work: one page of work, newest first, with the cursor of the next page or null. */
export const handler = http(route, async ({ query }) => ({ status: 200, body: await listWork(db, actor, query) }));
