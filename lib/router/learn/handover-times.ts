import type { Db, Fragment } from "../../runtime/postgres/db.ts";

/** Whether the work has been dispatched since it was handed over: the times of the task are its target's then. */
const dispatched = (db: Db) => db`attempt > (context_snapshot ->> 'attempt')::int`;

/**
 * What a statement sets on a row, called `handover`, of agent_transformation_events that ends now beside its task; nothing of one that
 * has ended before. Its times in milliseconds: of a handover from its call over dispatch and first word to the end, null for what did not
 * come to pass; of a role its length.
 */
export const openHandoverEnds = (db: Db) => db`
  transformation_time_ms = case when handover.completed_at is not null then transformation_time_ms
    when event_type = 'handover' and ${dispatched(db)} then ${milliseconds(db, db`dispatched_at - occurred_at`)} end,
  initialisation_time_ms = case when handover.completed_at is not null then initialisation_time_ms
    when event_type = 'handover' and ${dispatched(db)} then ${milliseconds(db, db`started_at - dispatched_at`)} end,
  execution_time_ms = case when handover.completed_at is not null then execution_time_ms
    when event_type = 'sub_role' then ${milliseconds(db, db`now() - occurred_at`)}
    when ${dispatched(db)} then ${milliseconds(db, db`now() - started_at`)} end,
  completed_at = coalesce(handover.completed_at, now())
`;

const milliseconds = (db: Db, interval: Fragment) =>
  // greatest() would make 0 of null
  db`case when ${interval} is not null then greatest(0, round(extract(epoch from ${interval}) * 1000)) end::bigint`;
