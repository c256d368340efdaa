/** Bodies that are no message of the protocol, each with a mark by which its dead letter is found. */
export const POISON: readonly ((mark: string) => string)[] = [
  (mark) => `{"type": "work_result", "payload": {"${mark}`,
  (mark) => mark,
  (mark) => JSON.stringify({ protocol_version: "9.9", type: "work_result", mark }),
  (mark) => JSON.stringify({ protocol_version: "1.0", type: "work_result", mark, payload: { output: "a\u0000b" } }),
  (mark) => `{"protocol_version":"1.0","mark":"${mark}","text":"\\ud800"}`,
  (mark) => `{"mark":"${mark}","deep":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
  (mark) => JSON.stringify({ mark, huge: "x".repeat(200_000) }),
];
