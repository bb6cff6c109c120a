"""Keys and JWTs for tests, made with fixed keys and without the code under test."""

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

VECTORS = Path(__file__).parent.parent / "vectors"

KEY = ec.derive_private_key(0xA11CE, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(0xB0B, ec.SECP256R1())
KEY_384 = ec.derive_private_key(0xA11CE, ec.SECP384R1())
KEY_521 = ec.derive_private_key(0xA11CE, ec.SECP521R1())

_PARAMETERS = {
    "secp256r1": ("ES256", "P-256", 32, hashes.SHA256()),
    "secp384r1": ("ES384", "P-384", 48, hashes.SHA384()),
    "secp521r1": ("ES512", "P-521", 66, hashes.SHA512()),
}


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def public_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    _, crv, width, _ = _PARAMETERS[key.curve.name]
    numbers = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": crv,
        "x": b64(numbers.x.to_bytes(width, "big")),
        "y": b64(numbers.y.to_bytes(width, "big")),
    }


def algorithm(key: ec.EllipticCurvePrivateKey) -> str:
    return _PARAMETERS[key.curve.name][0]


def sign(key: ec.EllipticCurvePrivateKey, octets: bytes) -> bytes:
    _, _, width, hash_algorithm = _PARAMETERS[key.curve.name]
    r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(hash_algorithm)))
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def segment(value: Any) -> str:
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def make_jwt(header: Any, payload: Any, key: ec.EllipticCurvePrivateKey = KEY) -> str:
    """Sign any header and payload, odd ones included; octets are taken as they are."""
    signed = f"{segment(header)}.{segment(payload)}"
    return f"{signed}.{b64(sign(key, signed.encode()))}"


def read_vector(name: str) -> str:
    return (VECTORS / name).read_text(encoding="utf-8").strip()


def read_json_vector(name: str) -> Any:
    return json.loads(read_vector(name))
