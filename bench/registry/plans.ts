import postgres from "postgres";

/** A connection whose every statement tells the plan by which it ran, as Postgres' auto_explain has it; needs a superuser. */
export async function withPlans(url: string): Promise<{ db: postgres.Sql<Record<string, never>>; plans: string[] }> {
  const plans: string[] = [];
  const db = postgres(url, {
    max: 1,
    transform: { column: { from: postgres.toCamel, to: postgres.fromCamel } },
    onnotice: ({ message = "" }) => plans.push(message),
  });
  await db.unsafe(`
    load 'auto_explain';
    set auto_explain.log_min_duration = 0;
    set auto_explain.log_nested_statements = on;
    set client_min_messages = log;
  `);
  plans.length = 0;
  return { db, plans };
}
