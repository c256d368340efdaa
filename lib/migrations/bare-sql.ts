const QUOTED = /--[^\n]*|\/\*[\s\S]*?\*\/|\$(\w*)\$[\s\S]*?\$\1\$|'(?:[^']|'')*'|"(?:[^"]|"")*"/g;

/**
 * The SQL with comments, strings and function bodies blanked out and quoted names made plain, at the same length and on
 * the same lines: what one may search for keywords.
 */
export function bareSql(sql: string): string {
  return sql.replaceAll(QUOTED, (quoted) => quoted.replaceAll(/[^\n]/g, quoted.startsWith('"') ? "x" : " "));
}
