/** Throws unless it is so. */
export function must(right: boolean, otherwise: string): void {
  if (!right) throw new Error(otherwise);
}
