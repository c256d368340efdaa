import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Caller, Limits } from "../actor.ts";

/**
 * Counts a call, with a body of so many bytes, against what its key has left; a key without limits costs no statement. All instances count
 * together. Throws a CallerError, 429 with Retry-After, where it has no more: that call is not counted.
 */
export async function takeAllowance(db: Db, caller: Caller, bytes: number): Promise<void> {
  const { limits, keyId, team } = caller;
  if (limits === undefined || keyId === null) return;
  const perSecond = limits.requestsPerSecond;
  const left = db`case when used.day = today.day then used.bytes else 0 end`;
  // Fills by requests_per_second, and holds what one second brings, but one request at least.
  const filled = db`
    least(greatest(1, ${perSecond}::float8), used.requests_left + extract(epoch from clock_timestamp() - used.counted_at) * ${perSecond}::float8)
  `;
  const [row] = await db<Row[]>`
    with today as (
      select (now() at time zone 'utc')::date as day
    ), taken as (
      insert into api_key_use as used (key_id, team_id, requests_left, counted_at, day, bytes)
      select ${keyId}, ${team}, greatest(1, coalesce(${perSecond}::float8, 1)) - 1, clock_timestamp(), day, ${bytes}
      from today where coalesce(${bytes} <= ${limits.bytesPerDay}::bigint, true)
      on conflict on constraint api_key_use_pkey do update set
        requests_left = coalesce(${filled} - 1, 0), counted_at = clock_timestamp(), day = excluded.day,
        bytes = case when used.day = excluded.day then used.bytes else 0 end + excluded.bytes
      where coalesce(${filled} >= 1, true)
        and coalesce(case when used.day = excluded.day then used.bytes else 0 end + excluded.bytes <= ${limits.bytesPerDay}::bigint, true)
      returning key_id
    )
    select exists (select from taken) as taken,
      coalesce((select (1 - ${filled}) / ${perSecond}::float8 from api_key_use as used where key_id = ${keyId}), 0)::float8 as wait,
      coalesce((select ${left} from api_key_use as used where key_id = ${keyId}), 0)::float8 as bytes,
      extract(epoch from date_trunc('day', now() at time zone 'utc') + interval '1 day' - (now() at time zone 'utc'))::float8 as day_left
    from today
  `;
  if (row !== undefined && !row.taken) throw tooMany(limits, bytes, row);
}

/** Whether it was counted, what had been used before, in bytes, and seconds: until there is a request again, until the day is over. */
type Row = { taken: boolean; wait: number; bytes: number; dayLeft: number };

/** Says which limit it was, and when to try again, also in the fields of draft-ietf-httpapi-ratelimit-headers. */
function tooMany({ requestsPerSecond, bytesPerDay }: Limits, bytes: number, row: Row): CallerError {
  const isOfDay = bytesPerDay !== null && row.bytes + bytes > bytesPerDay;
  const seconds = Math.max(1, Math.ceil(isOfDay ? row.dayLeft : row.wait));
  const [name, quota, window] = isOfDay ? ["bytes", bytesPerDay, 86_400] : ["requests", requestsPerSecond, 1];
  const left = isOfDay ? Math.max(0, bytesPerDay - row.bytes) : 0;
  const what = isOfDay ? `${bytesPerDay} bytes a day` : `${requestsPerSecond} requests a second`;
  return new CallerError(
    429,
    isOfDay ? "too_many_bytes" : "too_many_requests",
    `This key has ${what}. Try again in ${seconds} s.`,
    {
      headers: {
        "retry-after": String(seconds),
        "ratelimit-policy": `"${name}";q=${quota};w=${window}`,
        ratelimit: `"${name}";r=${left};t=${seconds}`,
      },
    },
  );
}
