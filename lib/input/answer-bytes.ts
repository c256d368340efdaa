/** How many bytes a value takes of an answer of Lambda's, which carries JSON text in a JSON string: at most 6,000,000 in all. */
export function bytesInAnswer(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(JSON.stringify(value ?? null)));
}
