/** Three small migrations, for tests that change or break them. */
export const small: Record<string, string> = {
  "0001_shop.up.sql": "create table if not exists shop (shop_id integer constraint shop_pkey primary key);\n",
  "0001_shop.down.sql": "drop table if exists shop;\n",
  "0002_item.up.sql":
    "create table if not exists item (shop_id integer constraint item_shop_id_fkey references shop);\n" +
    "create index if not exists item_shop_id_idx on item (shop_id);\n",
  "0002_item.down.sql": "drop table if exists item;\n",
  "0003_price.up.sql": "alter table item add column if not exists price integer;\n",
  "0003_price.down.sql": "alter table item drop column if exists price;\n",
};

/** The same files without those whose name starts so. */
export function without(prefix: string): Record<string, string> {
  return Object.fromEntries(Object.entries(small).filter(([name]) => !name.startsWith(prefix)));
}
