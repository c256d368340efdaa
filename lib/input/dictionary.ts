/** The entries of `of` without a prototype: a name that comes from outside, such as "constructor", finds only what was put in. */
export function dictionary<T>(of: Readonly<Record<string, T>> = {}): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, of);
}
