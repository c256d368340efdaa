const KEY = /^(wb_[0-9A-Za-z]{12})_[0-9A-Za-z]{43}$/;

/** The public part of a key of the API, by which it is found and told; undefined where the text has not the form of one. */
export function prefixOf(key: string): string | undefined {
  return KEY.exec(key)?.[1];
}
