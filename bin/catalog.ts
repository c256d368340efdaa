// Own, though pg_dump does more: no binary has to be there, and the text is the same from Postgres 15 to 18.
import type postgres from "postgres";

type Named = { name: string; definition: string; comment: string | null };
type Column = Named & { settings: string[] };
type Constraint = Named & { refersTo: string | null };
/** A table with all that belongs to it; `needs` names the tables that must be there before it. */
export type Table = {
  name: string;
  comment: string | null;
  options: string | null;
  partitionBy: string | null;
  partitionOf: string | null;
  bound: string | null;
  columns: Column[];
  constraints: Constraint[];
  indexes: Named[];
  triggers: Named[];
  /** Who sees and may do what of it, beside its owner: statements. */
  access: string[];
  needs: string[];
};
/** A schema as pieces of DDL in lower case; each list in an order that does not depend on how the schema was made. */
export type Catalog = {
  extensions: string[];
  enums: { name: string; labels: string[]; comment: string | null }[];
  functions: Named[];
  tables: Table[];
};

/** Reads the current schema from Postgres' own catalog. Throws where it has a kind of object that is not known here. */
export async function readCatalog(db: postgres.Sql): Promise<Catalog> {
  // Constants of these types are written as the session has it.
  await db`select set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO, YMD', false)`;
  await refuseUnknown(db);
  const extensions = await db<{ name: string }[]>`
    select quote_ident(extname) as name from pg_extension where extname <> 'plpgsql' order by 1
  `;
  const enums = await db<Catalog["enums"]>`
    select quote_ident(t.typname) as name, array_agg(quote_literal(e.enumlabel) order by e.enumsortorder) as labels,
      quote_literal(obj_description(t.oid, 'pg_type')) as comment
    from pg_type t join pg_enum e on e.enumtypid = t.oid
    where t.typnamespace = current_schema()::regnamespace
    group by t.oid order by t.typname
  `;
  const functions = await db<(Named & { schema: string })[]>`
    select p.oid::regprocedure::text as name, pg_get_functiondef(p.oid) as definition,
      quote_literal(obj_description(p.oid, 'pg_proc')) as comment, quote_ident(current_schema()) as schema
    from pg_proc p
    where p.pronamespace = current_schema()::regnamespace
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    order by 1
  `;
  const plain = plainer(enums.map(({ name }) => name));
  return {
    extensions: extensions.map(({ name }) => name),
    enums: [...enums],
    functions: functions.map(({ name, definition, comment, schema }) => {
      const body = definition.search(/^AS /m);
      const head = lowerCase(definition.slice(0, body)).replace(` ${schema}.`, " ");
      return { name, definition: `${head}as${definition.slice(body + 2)}`, comment };
    }),
    tables: (await readTables(db)).map((table) => ({
      ...table,
      columns: table.columns.map((part) => ({ ...part, definition: plain(part.definition) })),
      constraints: table.constraints.map((part) => ({ ...part, definition: plain(part.definition) })),
      indexes: table.indexes.map((part) => ({
        ...part,
        definition: plain(part.definition).replace(" using btree", ""),
      })),
      triggers: table.triggers.map((part) => ({ ...part, definition: plain(part.definition) })),
      access: table.access.map(plain),
      partitionBy: table.partitionBy && plain(table.partitionBy),
      bound: table.bound && plain(table.bound),
    })),
  };
}

async function readTables(db: postgres.Sql): Promise<Table[]> {
  // Not-null constraints have names of their own in Postgres 18 alone (contype n); the columns say it.
  return await db<Table[]>`
    select quote_ident(c.relname) as name,
      quote_literal(obj_description(c.oid, 'pg_class')) as comment,
      'with (' || (select string_agg(option, ', ' order by option) from unnest(c.reloptions) option) || ')' as options,
      'partition by ' || pg_get_partkeydef(c.oid) as "partitionBy",
      parent.inhparent::regclass::text as "partitionOf",
      pg_get_expr(c.relpartbound, c.oid, true) as bound,
      columns.list as columns, constraints.list as constraints, indexes.list as indexes, triggers.list as triggers, access.list as access,
      array_remove(constraints.needs || parent.inhparent::regclass::text, null) as needs
    from pg_class c
    left join pg_inherits parent on parent.inhrelid = c.oid,
    lateral (
      select coalesce(json_agg(json_build_object(
        'name', quote_ident(a.attname),
        'definition', concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
          'collate ' || (select quote_ident(collname) from pg_collation where oid = nullif(a.attcollation, t.typcollation)),
          case a.attgenerated when 's' then 'generated always as (' || pg_get_expr(d.adbin, c.oid, true) || ') stored' end,
          case a.attidentity when 'a' then 'generated always as identity' when 'd' then 'generated by default as identity' end,
          case when a.attnotnull and a.attidentity = '' then 'not null' end,
          case when a.attgenerated = '' then 'default ' || pg_get_expr(d.adbin, c.oid, true) end),
        'comment', quote_literal(col_description(c.oid, a.attnum)),
        'settings', to_json(array_remove(array[
          case when a.attstorage <> t.typstorage then quote_ident(a.attname) || ' set storage ' ||
            case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end end,
          case a.attcompression when 'l' then quote_ident(a.attname) || ' set compression lz4'
            when 'p' then quote_ident(a.attname) || ' set compression pglz' end
        ], null))
      ) order by a.attnum), '[]') as list
      from pg_attribute a join pg_type t on t.oid = a.atttypid
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) columns,
    lateral (
      select coalesce(json_agg(json_build_object(
        'name', quote_ident(k.conname), 'definition', pg_get_constraintdef(k.oid, true),
        'comment', quote_literal(obj_description(k.oid, 'pg_constraint')),
        'refersTo', case when k.confrelid <> 0 then k.confrelid::regclass::text end
      ) order by array_position(array['p', 'u', 'x', 'f', 'c'], k.contype::text), k.conname), '[]') as list,
        array_agg(distinct k.confrelid::regclass::text) filter (where k.confrelid <> 0) as needs
      from pg_constraint k
      where k.conrelid = c.oid and k.contype not in ('n', 't') and k.conparentid = 0 and k.conislocal
    ) constraints,
    lateral (
      select coalesce(json_agg(json_build_object(
        'name', i.indexrelid::regclass::text, 'definition', pg_get_indexdef(i.indexrelid, 0, true),
        'comment', quote_literal(obj_description(i.indexrelid, 'pg_class'))
      ) order by i.indexrelid::regclass::text), '[]') as list
      from pg_index i
      where i.indrelid = c.oid and not exists (select from pg_inherits where inhrelid = i.indexrelid)
        and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
    ) indexes,
    lateral (
      select coalesce(json_agg(json_build_object(
        'name', quote_ident(g.tgname), 'definition', pg_get_triggerdef(g.oid, true),
        'comment', quote_literal(obj_description(g.oid, 'pg_trigger'))
      ) order by g.tgname), '[]') as list
      from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgparentid = 0
    ) triggers,
    lateral (
      select array_remove(
        array[case when c.relrowsecurity then format('alter table %I enable row level security', c.relname) end]
        || array(
          select concat_ws(' ', format('create policy %I on %I', polname, c.relname),
            case polcmd when 'r' then 'for select' when 'a' then 'for insert' when 'w' then 'for update' when 'd' then 'for delete' end,
            'to ' || (select string_agg(rolname, ', ' order by rolname) from pg_roles where oid = any(polroles)),
            'using (' || pg_get_expr(polqual, c.oid, true) || ')', 'with check (' || pg_get_expr(polwithcheck, c.oid, true) || ')')
          from pg_policy where polrelid = c.oid order by polname
        ) || array(
          select format('grant %s on %I to %I', string_agg(privilege_type, ', ' order by privilege_type), c.relname, rolname)
          from aclexplode(c.relacl) join pg_roles on pg_roles.oid = grantee
          where grantee <> c.relowner group by rolname order by rolname
        ) || array(
          select format('grant %s (%s) on %I to %I', privilege_type, string_agg(quote_ident(attname), ', ' order by attname), c.relname, rolname)
          from pg_attribute, aclexplode(attacl) join pg_roles on pg_roles.oid = grantee
          where attrelid = c.oid and grantee <> c.relowner group by rolname, privilege_type order by rolname, privilege_type
        ), null
      ) as list
    ) access
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    order by c.relname
  `;
}

/** A dump that leaves something out without a word would be worse than none. */
async function refuseUnknown(db: postgres.Sql): Promise<void> {
  const unknown = await db<{ what: string }[]>`
    select what from (
      select c.oid, 'relation ' || c.relname || ' of kind ' || c.relkind::text as what
      from pg_class c
      where c.relnamespace = current_schema()::regnamespace and c.relkind not in ('r', 'p', 'i', 'I', 't')
        and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'i' and c.relkind = 'S')
      union all
      select oid, 'type ' || typname from pg_type
      where typnamespace = current_schema()::regnamespace and typtype in ('d', 'r')
      union all
      select oid, 'statistics ' || stxname from pg_statistic_ext where stxnamespace = current_schema()::regnamespace
    ) as found
    where not exists (select from pg_depend d where d.objid = found.oid and d.deptype = 'e')
  `;
  if (unknown.length === 0) return;
  const list = unknown.map(({ what }) => what).join(", ");
  throw new Error(`The schema has what bin/catalog.ts cannot write yet: ${list}. Add it there, or do without it.`);
}

function lowerCase(sql: string): string {
  return sql.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|[^'"]+/g, (part) =>
    part.startsWith("'") || part.startsWith('"') ? part : part.toLowerCase().replaceAll(/\s+/g, " "),
  );
}

/** Writes what Postgres reads back as a person would: lower case, `in (…)`, no casts that go without saying. */
function plainer(enums: string[]): (sql: string) => string {
  const casts = new RegExp(`('(?:[^']|'')*')::(?:${["text", ...enums].join("|")})\\b(?!\\[)`, "g");
  return (sql) =>
    lowerCase(sql)
      .replaceAll(casts, "$1")
      .replaceAll(/\b(\d+)::double precision\b/g, "$1")
      .replaceAll("timestamp with time zone", "timestamptz")
      .replaceAll(/ = any \(array\[([^[\]]*)\]\)/g, " in ($1)")
      .replaceAll(/ <> all \(array\[([^[\]]*)\]\)/g, " not in ($1)");
}
