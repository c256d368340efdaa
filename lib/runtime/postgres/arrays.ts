// Own, though postgres.js has both directions: it first asks each new connection which array types there are (`fetch_types`), and
// where that connection is lost meanwhile its error is nobody's and ends the process (porsager/postgres #1192, #1205, #1223).
/** The types of arrays that statements may take and answer, by their OIDs, which are the same in every Postgres (pg_type.dat). */
const ARRAYS: [parse: (text: string) => unknown, oids: number[]][] = [
  [String, [1009, 1015, 1003, 2951, 1182, 1185, 1231, 3807, 199]],
  [Number, [1005, 1007, 1016, 1021, 1022]],
];

/**
 * How lists travel as arrays of one dimension, for the option `types`: texts (uuids, times and JSON too) and numbers, null
 * where an element is. An array of another type, such as an enum's, is cast from `text[]` in its statement.
 */
export const arrayTypes = Object.fromEntries(
  ARRAYS.flatMap(([parse, oids]) =>
    oids.map((oid) => [`array_${oid}`, { to: oid, from: [oid], serialize: writeArray, parse: readArray(parse) }]),
  ),
);

/** A list as Postgres reads it; what is no list is text that is one already. */
function writeArray(list: readonly (string | number | null)[] | string): string {
  return typeof list === "string" ? list : `{${list.map(writeElement).join(",")}}`;
}

function writeElement(value: string | number | null | undefined): string {
  if (value === undefined) throw new TypeError("An array for the database holds undefined. Give null instead.");
  return value === null ? "null" : `"${String(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** An element of an array as Postgres writes it: in quotes, with escapes, or plain. */
const ELEMENT = /"((?:[^"\\]|\\.)*)"|([^{},]+)/gs;

function readArray<T>(parse: (text: string) => T): (text: string) => (T | null)[] {
  return (array) =>
    Array.from(array.matchAll(ELEMENT), ([, quoted, plain = ""]) => {
      if (quoted !== undefined) return parse(quoted.replaceAll(/\\(.)/gs, "$1"));
      return plain === "NULL" ? null : parse(plain);
    });
}
