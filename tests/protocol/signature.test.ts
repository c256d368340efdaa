import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../lib/input/json.ts";
import { type Message, parseMessage, type Raw, serialiseMessage } from "../../lib/protocol/messages.ts";
import { isSignedBy, keyIdOf, publicKeyOf, signingKeyOf, signWith } from "../../lib/protocol/signature.ts";
import { message as anyMessage } from "./arbitrary.ts";

const key = signingKeyOf("a secret of the tests");
const publicKey = publicKeyOf(key);
const sign = signWith(key);

function rawOf(text: string): Raw {
  const parsed = parseMessage(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
  return parsed.raw;
}

test("a message of any kind is signed as it is read on the other side, and by no other key", () => {
  const other = publicKeyOf(signingKeyOf("another secret"));
  fc.assert(
    fc.property(anyMessage, (message) => {
      const raw = rawOf(serialiseMessage(message, sign));
      expect(raw).toMatchObject({ key_id: keyIdOf(publicKey) });
      expect(isSignedBy(raw, publicKey)).toBe(true);
      expect(isSignedBy(raw, other)).toBe(false);
    }),
    { numRuns: 200 },
  );
});

test("white space and the order of the fields are not signed, and everything else is", () => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), (message, at) => {
      const raw = rawOf(serialiseMessage(message, sign)) as Record<string, unknown>;
      const turned = Object.fromEntries(Object.entries(raw).toReversed());
      expect(isSignedBy(JSON.parse(JSON.stringify(turned, undefined, 2)) as Raw, publicKey)).toBe(true);

      const names = Object.keys(raw).filter((name) => name !== "signature");
      const name = names[at % names.length] ?? "";
      const { [name]: _, ...without } = raw;
      expect(isSignedBy(without, publicKey)).toBe(false);
      expect(isSignedBy({ ...raw, [name]: "changed" }, publicKey)).toBe(false);
      expect(isSignedBy({ ...raw, added: 1 } as Raw, publicKey)).toBe(false);
    }),
    { numRuns: 200 },
  );
});

test("what is no signature of the whole length is not looked at", () => {
  const message = { type: "anything" };
  for (const signature of [undefined, "", "AAAA", "0".repeat(86), "0".repeat(2000), "🙂".repeat(43)]) {
    expect(isSignedBy({ ...message, ...(signature === undefined ? {} : { signature }) }, publicKey)).toBe(false);
  }
});

// The example of RFC 8785, 3.2.2 and 3.2.3, of which one number has a digit that no float has, and its order of names by UTF-16.
test("the form that is signed is that of RFC 8785", () => {
  const example = {
    numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
    string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\u002f",
    literals: [null, true, false],
  };
  expect(canonicalJson(example)).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  const names = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
  expect([...canonicalJson(names).matchAll(/:(\d)/g)].map(([, digit]) => digit).join("")).toBe("2467153");
});

// Made by agents/python/signature.py, which is OpenSSL's HKDF and Ed25519.
test("the key of a secret is HKDF-SHA256 of it for the purpose, as an Ed25519 seed", () => {
  const secret = "wb_000000000000_0000000000000000000000000000000000000000000";
  expect(publicKeyOf(signingKeyOf(secret)).toString("base64url")).toBe("VvHd0X-KfVbRX2A329Bz1X-RkRC8STESpCYpnmztpZs");
  const message = { type: "x", n: 1 } as unknown as Message;
  expect(signWith(signingKeyOf(secret), "wb_000000000000")(message).signature).toBe(
    "3cemMNCuegZfcNeav0Uhgi7ItT_hQy0OQBJDUjVFCaqOt0HSHzWkmuGe2JuhPKs7Ti4cpwsU3VnbKp2ZCzl0Aw",
  );
});
