import { createHash, createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from "node:crypto";
import { canonicalJson } from "../input/json.ts";

/** Signs a message: adds the id under which the other side finds the public key, and the signature over all the rest. */
export type Sign = <T extends object>(message: T) => T & Required<Signed>;

/** What a message says of who has signed it. */
type Signed = { key_id?: string | undefined; signature?: string | undefined };

const PURPOSE = "waybill message signature v1";
/** What stands before the 32 bytes of an Ed25519 key in its DER forms, PKCS #8 and SPKI (RFC 8410). */
const PRIVATE = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC = Buffer.from("302a300506032b6570032100", "hex");

/**
 * The Ed25519 key that belongs to a secret: its 32 bytes are HKDF-SHA256 (RFC 5869) of the secret's UTF-8 without a salt, for this
 * purpose. Who knows the public key of it does not know the secret.
 */
export function signingKeyOf(secret: string): KeyObject {
  const seed = Buffer.from(hkdfSync("sha256", secret, "", PURPOSE, 32));
  return createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: "der", type: "pkcs8" });
}

/** The public key of a private one: 32 bytes. */
export function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(PUBLIC.length);
}

/** The id of a public key that has no other: `ed_` and the first 16 letters and digits of its SHA-256. */
export function keyIdOf(publicKey: Uint8Array): string {
  return `ed_${createHash("sha256").update(publicKey).digest("hex").slice(0, 16)}`;
}

/** Signs with a private key, which is known under this id. */
export function signWith(key: KeyObject, keyId: string = keyIdOf(publicKeyOf(key))): Sign {
  return (message) => {
    const all = { ...message, key_id: keyId };
    return { ...all, signature: sign(null, bytesOf(all), key).toString("base64url") };
  };
}

/** Whether a message, as it was read and nothing of it changed, is signed by the key whose public half this is. */
export function isSignedBy(message: Signed, publicKey: Uint8Array): boolean {
  const { signature, ...all } = message;
  if (signature === undefined) return false;
  const key = createPublicKey({ key: Buffer.concat([PUBLIC, publicKey]), format: "der", type: "spki" });
  return verify(null, bytesOf(all), key, Buffer.from(signature, "base64url"));
}

/** What is signed: the message without its signature, in the one form that RFC 8785 gives it, as UTF-8. */
function bytesOf(message: object): Buffer {
  return Buffer.from(canonicalJson(message));
}
