"""The wallet's P-256 keys and the JWTs that carry them: DPoP proofs and key proofs."""

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from app.protocol import base64url, jose, jwk
from app.protocol.digest import digest
from app.wallet.errors import WalletRefused

ALGORITHM = "ES256"

Now = Callable[[], int]
"""Returns whole seconds since 1970-01-01 UTC."""

Random = Callable[[int], bytes]
"""Returns that many random octets."""


class WalletKey:
    """A P-256 private key of the wallet."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        self._private_key = private_key
        self.public_jwk: dict[str, Any] = jwk.export_public_jwk(private_key.public_key())

    @classmethod
    def generate(cls) -> "WalletKey":
        """Make a fresh key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: str) -> "WalletKey":
        """Read a stored key. Raises `WalletRefused` if it is not a P-256 key."""
        try:
            private_key = load_pem_private_key(pem.encode(), password=None)
        except ValueError:
            private_key = None
        if not isinstance(private_key, ec.EllipticCurvePrivateKey) or not isinstance(private_key.curve, ec.SECP256R1):
            raise WalletRefused("unusable_key", "the stored holder key is not a P-256 private key")
        return cls(private_key)

    def to_pem(self) -> str:
        """Return the key as unencrypted PKCS #8."""
        return self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 thumbprint."""
        return jwk.thumbprint(self.public_jwk)

    def sign(self, to_sign: bytes) -> bytes:
        """Return the ES256 signature (RFC 7518 §3.4)."""
        return jose.raw_signature(self._private_key.sign(to_sign, ec.ECDSA(SHA256())))

    def sign_jwt(self, typ: str, payload: Mapping[str, Any]) -> str:
        """Return a compact ES256 JWT that carries its public key in the header."""
        to_sign = jose.signing_input({"typ": typ, "alg": ALGORITHM, "jwk": self.public_jwk}, payload)
        return jose.compact(to_sign, self.sign(to_sign))


def dpop_proof(
    key: WalletKey, method: str, url: str, *, nonce: str | None, access_token: str | None, now: Now, random: Random
) -> str:
    """Make a DPoP proof (RFC 9449 §4.2), with `ath` when it accompanies an access token."""
    payload: dict[str, Any] = {
        "jti": base64url.encode(random(16)),
        "htm": method,
        "htu": url.partition("?")[0],
        "iat": now(),
    }
    if nonce is not None:
        payload["nonce"] = nonce
    if access_token is not None:
        payload["ath"] = base64url.encode(digest(access_token))
    return key.sign_jwt("dpop+jwt", payload)


def key_proof(key: WalletKey, *, issuer: str, client_id: str, nonce: str | None, now: Now) -> str:
    """Make a `jwt` key proof (OpenID4VCI appendix F.1)."""
    payload: dict[str, Any] = {"iss": client_id, "aud": issuer, "iat": now()}
    if nonce is not None:
        payload["nonce"] = nonce
    return key.sign_jwt("openid4vci-proof+jwt", payload)
