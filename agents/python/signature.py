"""How messages are signed (docs/protocol.md#signatures): Ed25519 over the RFC 8785 form of all but the signature."""
import base64
import hashlib
import http.client
import json
import re
import urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PURPOSE = b"waybill message signature v1"


class Signer:
    """Signs as the agent whose key of the API this is. Raises ValueError where it is no key."""

    def __init__(self, api_key):
        found = re.fullmatch(r"(wb_[0-9A-Za-z]{12})_[0-9A-Za-z]{43}", api_key)
        if found is None:
            raise ValueError("WAYBILL_API_KEY must be a key of this agent (wb_…): by it its messages are signed")
        self.key_id = found[1]
        seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=PURPOSE).derive(api_key.encode())
        self.key = Ed25519PrivateKey.from_private_bytes(seed)

    def sign(self, message):
        signed = {**message, "key_id": self.key_id}
        return {**signed, "signature": to_text(self.key.sign(canonical(signed)))}


class Trust:
    """The control plane's public keys: those that are given, or else those that the API answers, asked for again where one is not known."""

    def __init__(self, given, api_url):
        self.url = None if given else f"{api_url.rstrip('/')}/.well-known/jwks.json"
        self.keys = {key_id_of(key): key for key in map(to_bytes, given.split(","))} if given else None

    def ask(self):
        """Raises OSError where the API does not answer them."""
        try:
            with urllib.request.urlopen(self.url, timeout=10) as answer:
                self.keys = {key["kid"]: to_bytes(key["x"]) for key in json.load(answer)["keys"]}
        except (ValueError, KeyError, TypeError, http.client.HTTPException) as error:
            raise OSError(f"GET {self.url} answered no keys: {error}") from error

    def why_not(self, message):
        """Why a message is not the control plane's, or None where it is."""
        key_id, signature = message.get("key_id"), message.get("signature")
        if key_id is None or signature is None:
            return "it is not signed by the control plane"
        if key_id not in (self.keys or {}) and self.url is not None:
            self.ask()
        if key_id not in (self.keys or {}):
            return f"it is signed with the key {key_id}, which is not the control plane's"
        rest = {name: value for name, value in message.items() if name != "signature"}
        try:
            Ed25519PublicKey.from_public_bytes(self.keys[key_id]).verify(to_bytes(signature), canonical(rest))
        except InvalidSignature:
            return "its signature is not that of its key"
        return None


def key_id_of(public_key):
    return f"ed_{hashlib.sha256(public_key).hexdigest()[:16]}"


def to_bytes(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def to_text(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def canonical(value):
    """JSON as RFC 8785 writes it, in UTF-8."""
    return write(value).encode()


def write(value):
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{write(name)}:{write(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(float(value))
    return json.dumps(value, ensure_ascii=False)


def number(value):
    """As ECMAScript's Number::toString has it, from the shortest digits that are this number: Python's are the same."""
    if value == 0:
        return "0"
    if value < 0:
        return f"-{number(-value)}"
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{point - 1:+d}"
