"""JWTs as attackers make them, out of a slot's good one."""

import base64
import hmac
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from tests.http.slots import Slot
from tests.protocol.jwts import b64, make_jwt, public_jwk, segment, sign

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def raw_payload(slot: Slot, payload: str) -> str:
    """The slot's JWT with a payload given as text, rightly signed."""
    return make_jwt(slot.header, payload.encode(), slot.key)


def literal_claim(slot: Slot, name: str, literal: str) -> str:
    """The slot's JWT with one claim written as a literal no encoder would write."""
    return raw_payload(slot, json.dumps({**slot.payload, name: "@"}).replace('"@"', literal))


def with_signature(slot: Slot, signature: bytes, header: dict[str, Any] | None = None) -> str:
    """The slot's JWT with another signature."""
    signed = slot.bent(header=header).rpartition(".")[0]
    return f"{signed}.{b64(signature)}"


def with_hmac(slot: Slot, algorithm: str, secret: bytes) -> str:
    """The slot's JWT with an HMAC in place of the signature."""
    signed = slot.bent(header={"alg": algorithm}).rpartition(".")[0]
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), algorithm.replace('HS', 'sha')))}"


def public_key_spellings(key: ec.EllipticCurvePrivateKey) -> dict[str, bytes]:
    """The octets a confused verifier could take for a shared secret."""
    public = key.public_key()
    jwk = public_jwk(key)
    form = serialization.PublicFormat
    return {
        "PEM": public.public_bytes(serialization.Encoding.PEM, form.SubjectPublicKeyInfo),
        "PEM without newline": public.public_bytes(serialization.Encoding.PEM, form.SubjectPublicKeyInfo).strip(),
        "DER": public.public_bytes(serialization.Encoding.DER, form.SubjectPublicKeyInfo),
        "point": public.public_bytes(serialization.Encoding.X962, form.UncompressedPoint),
        "compact JWK": json.dumps(jwk, separators=(",", ":")).encode(),
        "JWK": json.dumps(jwk).encode(),
        "Python's JWK": repr(jwk).encode(),
        "x": jwk["x"].encode(),
        "empty": b"",
    }


def flattened(slot: Slot) -> str:
    """The slot's JWT in the flattened JSON serialization."""
    header, payload, signature = slot.good().split(".")
    return json.dumps({"payload": payload, "protected": header, "signature": signature})


def general(slot: Slot) -> str:
    """The slot's JWT in the general JSON serialization, with an unprotected header and two signatures."""
    header, payload, signature = slot.good().split(".")
    unprotected = {"protected": segment({"typ": slot.header["typ"]}), "header": slot.header, "signature": signature}
    return json.dumps({"payload": payload, "signatures": [{"protected": header, "signature": signature}, unprotected]})


def encrypted(slot: Slot, recipient: dict[str, Any]) -> str:
    """The slot's claims as a JWE for a published key of the server's: ECDH-ES with A256GCM (RFC 7518 §4.6)."""
    x, y = (int.from_bytes(_octets(recipient[name]), "big") for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    protected = segment({**slot.header, "alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "epk": public_jwk(ephemeral)})
    info = b"".join((_counted(b"A256GCM"), _counted(b""), _counted(b""), (256).to_bytes(4, "big")))
    secret = ephemeral.exchange(ec.ECDH(), public)
    key = ConcatKDFHash(algorithm=hashes.SHA256(), length=32, otherinfo=info).derive(secret)
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, json.dumps(slot.payload).encode(), protected.encode())
    return f"{protected}..{b64(nonce)}.{b64(sealed[:-16])}.{b64(sealed[-16:])}"


def escaped(slot: Slot) -> str:
    """The slot's JWT with every letter of its names and texts as an escape; the same JSON value."""
    respelled = {_escape(name): _escape(value) for name, value in slot.payload.items()}
    return raw_payload(slot, json.dumps(respelled).replace("\\\\u", "\\u"))


def duplicated(slot: Slot) -> dict[str, str]:
    """The slot's JWT with names that occur twice, in plain letters and in escapes."""
    header, payload = json.dumps(slot.header), json.dumps(slot.payload)
    claim = next(iter(slot.payload))
    twice = json.dumps(slot.payload[claim])
    first, last = claim[0], claim[1:]
    return {
        "alg, first none": make_jwt(f'{{"alg":"none",{header[1:]}'.encode(), slot.payload, slot.key),
        "alg, last none": make_jwt(f'{header[:-1]},"alg":"none"}}'.encode(), slot.payload, slot.key),
        "typ, the same": make_jwt(f'{{"typ":"{slot.header["typ"]}",{header[1:]}'.encode(), slot.payload, slot.key),
        f"{claim}, another first": raw_payload(slot, f'{{"{claim}":"x",{payload[1:]}'),
        f"{claim}, the same": raw_payload(slot, f'{{"{claim}":{twice},{payload[1:]}'),
        f"{claim}, in escapes": raw_payload(slot, f'{{"\\u{ord(first):04x}{last}":{twice},{payload[1:]}'),
        "unknown, twice": raw_payload(slot, f'{{"x_a":1,"x_a":1,{payload[1:]}'),
    }


def respelled_segments(slot: Slot) -> dict[str, str]:
    """The slot's JWT in base64url that decodes to the same octets for a careless reader."""
    token = slot.good()
    while not {"-", "_"} & set(token.rpartition(".")[2]):
        token = slot.good()
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = alphabet[alphabet.index(signature[-1]) ^ 1]
    padded = [part + "=" * (-len(part) % 4 or 4) for part in (header, payload, signature)]
    return {
        "stray bits": f"{signed}.{signature[:-1]}{stray}",
        "padded signature": f"{signed}.{signature}==",
        "padded": ".".join(padded),
        "base64": f"{signed}.{signature.replace('-', '+').replace('_', '/')}",
        "space within": f"{header}.{payload[:8]} {payload[8:]}.{signature}",
        "tab within": f"{header}.{payload}.{signature[:8]}\t{signature[8:]}",
    }


def degenerate_signatures(slot: Slot) -> dict[str, str]:
    """The slot's JWT with ECDSA values that are none."""
    order, one = P256_ORDER.to_bytes(32, "big"), (1).to_bytes(32, "big")
    signed = slot.good().rpartition(".")[0].encode()
    real = sign(slot.key, signed)
    values = {
        "zeros": b"\x00" * 64,
        "r and s the order": order * 2,
        "r the order": order + one,
        "s the order": one + order,
        "ones": one * 2,
        "all bits": b"\xff" * 64,
        "63 octets": real[:63],
        "65 octets": real + b"\x00",
        "72 octets": real + b"\x00" * 8,
        "widened": b"\x00" * 34 + real[:32] + b"\x00" * 34 + real[32:],
        "DER": slot.key.sign(signed, ec.ECDSA(hashes.SHA256())),
        "another hash": _raw(slot.key.sign(signed, ec.ECDSA(hashes.SHA512()))),
        "empty": b"",
    }
    return {what: f"{signed.decode()}.{b64(value)}" for what, value in values.items()}


@contextmanager
def canary() -> Iterator[tuple[str, list[str]]]:
    """A web server nobody may call: its URL, and the paths that were asked for."""
    hits: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", hits
        server.shutdown()
        thread.join()


def _raw(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _escape(value: Any) -> Any:
    return "".join(f"\\u{ord(letter):04x}" for letter in value) if isinstance(value, str) else value


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _counted(octets: bytes) -> bytes:
    return len(octets).to_bytes(4, "big") + octets
