import type { Db, Fragment } from "../../runtime/postgres/db.ts";

/** 244 random bits as 64 hexadecimal digits: gen_random_uuid is of the server's strong source. */
const newToken = (db: Db): Fragment => db`replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')`;

/** What is kept of a token: the SHA-256 of its text, in hexadecimal. */
export const hashOfToken = (db: Db, token: Fragment): Fragment =>
  db`encode(sha256(convert_to(${token}, 'UTF8')), 'hex')`;

/** What a request says of its work, as columns of `tasks`: those of Claimed. */
export const requestColumns = (db: Db): Fragment => db`
  tasks.task_id, tasks.team_id, trace_id, run_id, to_agent, attempt, work_type, request_text, parameters, hints,
  handover - 'capabilities' as handover, timeout_seconds, ${newToken(db)} as lease_token
`;
