import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type TableRules, tableFaults } from "./check-tables.ts";
import { readSource, readSources } from "./source.ts";
import { tablesOf, usesOf } from "./sql.ts";
import { DYNAMIC, type Guest, READS_ALL, TABLES, TO_MEND } from "./tables.ts";

const schema = tablesOf(readFileSync("migrations/schema.sql", "utf8"));
const sources = readSources();
const rules: TableRules = { tables: TABLES, readsAll: READS_ALL, dynamic: DYNAMIC, toMend: TO_MEND };
const present = tableFaults(sources, schema, rules);

test("each table has an owner, and others do to it only what the table of tables says", () => {
  expect(schema.length).toBeGreaterThan(15);
  expect(present).toEqual([]);
});

/** What the test says of the code only with a file like this. Nothing is written. */
function faultsWith(path: string, code: string): string[] {
  const faults = tableFaults([...sources, readSource(path, code)], schema, rules);
  return faults.filter((fault) => !present.includes(fault));
}

const REFUSED: [file: string, code: string, says: RegExp][] = [
  [
    "lib/registry/a.ts",
    "db`select 1 from tasks join outbox using (task_id)`",
    /reads outbox, which lib\/work owns\. Ask that room/,
  ],
  ["lib/registry/a.ts", "db`update tasks set status = 'failed'`", /writes status of tasks, which lib\/work owns/],
  ["lib/registry/a.ts", "db<{ n: number }[]>`delete from tasks as t where t.task_id = ${id}`", /writes tasks, which/],
  [
    "lib/llm/accounts/a.ts",
    "db`update tasks set external_ai_used = f(a, b), status = 'x' where true`",
    /writes external_ai_used, status of tasks/,
  ],
  [
    "lib/llm/accounts/a.ts",
    "db`update only tasks as t set ${more} where true`",
    /writes what only a run knows of tasks/,
  ],
  ["lib/llm/accounts/a.ts", "db`insert into tasks (external_ai_used) values (null)`", /writes tasks/],
  ["lib/llm/a.ts", "db`select 1 from llm_calls, tasks`", /lib\/llm\/a\.ts:1 reads tasks/],
  ["lib/reports/a.ts", "db`with gone as (delete from outbox returning 1) select from gone`", /writes outbox/],
  [
    "lib/work/core/a.ts",
    "pool.unsafe(`insert into agent_definitions ${x}`)",
    /writes agent_definitions, which lib\/registry owns/,
  ],
  ["lib/work/core/a.ts", 'tx`select 1 from ${tx("llm_spend")}`', /reads llm_spend/],
  ["lib/work/core/a.ts", "tx`select 1 from ${tx(name)}`", /names a table that only a run knows/],
  ["lib/work/core/a.ts", "db.unsafe(text)", /names a table that only a run knows/],
  ["lib/wiring/a.ts", "db`lock table schema_migrations in share mode`", /writes schema_migrations/],
];

test.each(REFUSED)("%s may not say: %s", (file, code, says) => {
  expect(faultsWith(file, code)).toEqual([expect.stringMatching(says)]);
});

test("a table without an owner, an owner without a table and an entry that nothing uses are told", () => {
  const { outbox, tasks, ...others } = TABLES;
  const guest: Guest = ["lib/input", "read", "It was so once."];
  const tables = {
    ...others,
    tasks: { owner: "lib/work", holds: "", others: [...(tasks?.others ?? []), guest] },
    plans: { owner: "lib/plans", holds: "" },
  };
  const dynamic = { ...DYNAMIC, "lib/input/json.ts": { tables: ["tasks"], because: "" } };
  expect(outbox).toBeDefined();
  const faults = tableFaults(sources, schema, { ...rules, tables, dynamic, toMend: { llm_calls: [guest] } });
  expect(faults.filter((fault) => !present.includes(fault))).toEqual([
    "outbox has no owner. Name one in tests/boundaries/tables.ts.",
    expect.stringMatching(/^plans is no table of migrations\/schema\.sql/),
    "lib/input/json.ts in DYNAMIC may name tasks, which is not its room's.",
    "lib/input/json.ts in DYNAMIC names no such table any more. Take it out.",
    expect.stringMatching(/^lib\/input does not read tasks any more/),
    expect.stringMatching(/^lib\/input does not read llm_calls any more/),
  ]);
});

test("names of queries, aliases, columns, texts and comments are no tables", () => {
  const sql = `
    with tasks as materialized (select 1), outbox (a, b) as (select 2) -- from llm_calls
    select work.agent_rate, 'from llm_spend', extract(epoch from now()) from tasks, outbox, agent_presence as llm_switch
    where a is distinct from b
  `;
  expect(usesOf(sql, schema)).toEqual([{ table: "agent_presence", does: "read", columns: [] }]);
});
