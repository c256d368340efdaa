import { expect, test } from "vitest";
import { numberingFaults, sqlFaults } from "../../bin/sql-rules.ts";

test.each([
  "create table if not exists a (id uuid constraint a_pkey primary key, b uuid constraint a_b_fkey references b on delete cascade);",
  "create table if not exists a (id uuid, constraint a_pkey primary key (id), constraint a_b_fkey foreign key (b) references b (id));",
  "create table if not exists a (b text, constraint a_b_key unique (b), constraint a_b_known check (b in ('check', 'unique')));",
  "create table if not exists a (b text constraint a_b_known\n  check (b > ''));",
  'create table if not exists a (b text constraint "A key" unique);',
  "create unique index if not exists a_b_idx on a (b);",
  "alter table a add column if not exists b text; alter table a drop constraint if exists a_b_key;",
  "-- references, check (unique) and primary key; drop table x\ncomment on table a is 'unique /* check */ it''s';",
  "/* create index on a (b) */ select 1;",
  "do $$ begin create type mood as enum ('x'); exception when duplicate_object then null; end $$;",
  "create or replace function f() returns trigger language plpgsql as $f$ begin drop table x; end $f$;",
  "create extension if not exists pg_trgm;",
  "drop table if exists a; drop type if exists mood;",
])("%s is fine", (sql) => {
  expect(sqlFaults(sql)).toEqual([]);
});

test.each([
  ["create table if not exists a (id uuid primary key);", "primary key has no name"],
  [
    "create table if not exists a (id uuid constraint a_pkey primary key, b uuid references b);",
    "references has no name",
  ],
  ["create table if not exists a (b text unique);", "unique has no name"],
  ["create table if not exists a (b text, check (b > ''));", "check has no name"],
  ["create table if not exists a (b text constraint a_b_key unique check (b > ''));", "check has no name"],
  ["alter table a add foreign key (b) references b;", "foreign key has no name"],
  ["alter table a add primary\n key (b);", "primary key has no name"],
  ["CREATE INDEX IF NOT EXISTS ON a (b);", "has no name. Write: create index"],
  ["create table a (b text);", "create table fails where it exists already"],
  ["create index a_b_idx on a (b);", "create index fails where it exists already"],
  ["create type mood as enum ('x');", "create type fails where it exists already"],
  ["create function f() returns int language sql as 'select 1';", "create function fails where it exists"],
  ["alter table a add column b text;", "add column fails where it exists already"],
  ["drop table a;", "drop table fails where it is gone already"],
  ["alter table a drop column b;", "drop column fails where it is gone already"],
  ["drop extension if exists vector;", "Leave extensions where they are"],
  ["create index concurrently if not exists a_b_idx on a (b);", "concurrently cannot run in a transaction"],
])("%s is a fault", (sql, message) => {
  const messages = sqlFaults(`-- one\n-- two\n${sql}`);

  expect(messages).toContainEqual({ line: 3, message: expect.stringContaining(message) });
});

test("numbers have no gaps", () => {
  expect(numberingFaults(["0001_a", "0002_b"])).toEqual([]);
  expect(numberingFaults(["0001_a", "0003_b", "0004_c"])).toEqual([
    "0003_b should have the number 0002. Number without gaps.",
  ]);
  expect(numberingFaults(["0002_a"])).toEqual(["0002_a should have the number 0001. Number without gaps."]);
});
