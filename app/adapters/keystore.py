"""The tenant's keys in software: signing with stored private keys."""

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from app.protocol.jose import ALGORITHMS, raw_signature
from app.records import KeyPurpose, SigningKey


class SoftwareSigner:
    """`CertifiedSigner` with a private key in this process's memory."""

    def __init__(self, key: SigningKey) -> None:
        private_key = load_der_private_key(key.private_key, password=None)
        if not isinstance(private_key, EllipticCurvePrivateKey):
            raise TypeError("signing key is not an EC key")
        self._key = private_key
        self._public_key = private_key.public_key()
        self._ecdsa = ALGORITHMS[key.algorithm].ecdsa
        self._stored = key

    @property
    def key_id(self) -> str:
        """The `kid`."""
        return self._stored.key_id

    @property
    def algorithm(self) -> str:
        """The JWS `alg`."""
        return self._stored.algorithm

    @property
    def certificate_chain(self) -> list[bytes]:
        """DER, leaf first, without the trust anchor; empty where the key has none."""
        return self._stored.certificate_chain

    @property
    def public_key(self) -> EllipticCurvePublicKey:
        """The public half."""
        return self._public_key

    @property
    def published_jwk(self) -> dict[str, Any]:
        """The public JWK with what it is for."""
        return {**self._stored.public_jwk, "kid": self.key_id, "alg": self.algorithm, "use": "sig"}

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the JWS signature, raw r‖s (RFC 7518 §3.4). On the loop: it is quicker than a change of threads."""
        return raw_signature(self._key.sign(signing_input, self._ecdsa), algorithm=self.algorithm)


class StoredKeyRing:
    """`KeyRing` over stored keys.

    The newest key of a purpose signs. Older ones verify until they are retired: adding a key is rotation, retiring one
    is distrust.
    """

    def __init__(self, keys: Sequence[SigningKey], *, nonce_key: bytes) -> None:
        live = [key for key in keys if key.retired_at is None]
        self._access_tokens = _signers(live, "access_token")
        self._credentials = _signers(live, "credential")
        self._nonce_key = nonce_key

    @property
    def access_tokens(self) -> SoftwareSigner:
        """Signs access tokens. Raises LookupError where the tenant has no such key."""
        return _newest(self._access_tokens)

    @property
    def credentials(self) -> SoftwareSigner:
        """Signs credentials. Raises LookupError where the tenant has no such key."""
        return _newest(self._credentials)

    @property
    def public_jwks(self) -> list[dict[str, Any]]:
        """The keys of the authorization server (RFC 8414 `jwks_uri`); a credential carries its own in `x5c`."""
        return [signer.published_jwk for signer in self._access_tokens]

    @property
    def access_token_keys(self) -> Mapping[str, EllipticCurvePublicKey]:
        """The keys that access tokens are verified with, by `kid`."""
        return {signer.key_id: signer.public_key for signer in self._access_tokens}

    @property
    def nonce_key(self) -> bytes:
        """The tenant's key for sealed nonces."""
        return self._nonce_key


def _signers(keys: Sequence[SigningKey], purpose: KeyPurpose) -> list[SoftwareSigner]:
    return [SoftwareSigner(key) for key in keys if key.purpose == purpose]


def _newest(signers: Sequence[SoftwareSigner]) -> SoftwareSigner:
    if not signers:
        raise LookupError("the tenant has no key for this purpose")
    return signers[-1]
