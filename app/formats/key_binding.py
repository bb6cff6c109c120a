"""Key Binding JWTs (RFC 9901 §4.3): the holder of a credential presents it to one verifier, once.

`bind` is the holder's side, `judge_key_binding` the verifier's.
"""

import hmac
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from app.formats import sd_jwt
from app.protocol import jose
from app.protocol.claims import ClaimTable, judge_shape, judge_times, numeric_date, text
from app.protocol.presentation import Expected
from app.protocol.strict_json import Malformed
from app.protocol.trust import KEY_BINDING_ALGORITHMS

TYPE: Final = "kb+jwt"
_MAX_AGE: Final = 300
_MAX_LENGTH: Final = 8192
_KEY_MEMBERS: Final = frozenset({"jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256"})

CLAIMS: Final = ClaimTable(
    # RFC 9901 §4.3 (KB-05, KB-06, KB-08, KB-09): each is one value; `aud` is no array here.
    required={
        "iat": numeric_date,
        "aud": text(max_length=2048),
        "nonce": text(max_length=1024),
        "sd_hash": text(max_length=128),
    },
    # RFC 7519 §4.1.4, §4.1.5 (KB-11)
    optional={"exp": numeric_date, "nbf": numeric_date},
    ignored=frozenset({"iss", "sub", "jti"}),
)


class UnsignedPresentation(Struct, frozen=True):
    """A presentation that lacks the holder's signature only."""

    sd_jwt: str
    signing_input: bytes

    def complete(self, signature: bytes) -> str:
        """Return the presentation (RFC 9901 §4)."""
        return self.sd_jwt + jose.compact(self.signing_input, signature)


def bind(text: str, *, audience: str, nonce: str, issued_at: int, algorithm: str) -> UnsignedPresentation:
    """Build the presentation of an SD-JWT, ending in `~`, with the disclosures it has; the holder's key signs it.

    Raises `Malformed` for what is no such SD-JWT.
    """
    parts = sd_jwt.split(text)
    if parts.key_binding_jwt:
        raise Malformed("SD-JWT with key binding already")
    payload = {
        "iat": issued_at,
        "aud": audience,
        "nonce": nonce,
        # RFC 9901 §4.3.1 (KB-09, KB-10)
        "sd_hash": sd_jwt.digest_of(parts.unbound, sd_jwt.hash_name(parts.issuer_jwt.payload)),
    }
    return UnsignedPresentation(parts.unbound, jose.signing_input({"typ": TYPE, "alg": algorithm}, payload))


def judge_key_binding(
    parts: sd_jwt.SdJwt, *, hash_name: str, key: ec.EllipticCurvePublicKey, expected: Expected
) -> None:
    """Judge the Key Binding JWT of a presentation whose SD-JWT is verified (RFC 9901 §7.3 step 5).

    `hash_name` and `key` are those of the verified SD-JWT. Raises `Malformed` or `jose.BadSignature`.
    """
    unverified = jose.parse_jwt(parts.key_binding_jwt, max_length=_MAX_LENGTH)
    # §4.3 (KB-02, AG-14)
    if unverified.header.get("typ") != TYPE:
        raise Malformed("key binding is not of type kb+jwt")
    # §7.3 step 5a (KB-04, AG-12): the key is the credential's; who names another means another.
    if _KEY_MEMBERS & unverified.header.keys():
        raise Malformed("key binding names a key")
    payload = unverified.payload
    judge_shape(payload, CLAIMS)
    # §7.3 step 5e, 5h (KB-05, KB-11)
    judge_times(payload, now=expected.now, max_age=_MAX_AGE)
    # §7.3 step 5f (KB-06): exactly.
    if payload["aud"] not in expected.audiences:
        raise Malformed("key binding is for another audience")
    # §7.3 step 5f (KB-08)
    if not hmac.compare_digest(payload["nonce"].encode(), expected.nonce.encode()):
        raise Malformed("key binding has another nonce")
    # §7.3 step 5g (KB-09, KB-10)
    if payload["sd_hash"] != sd_jwt.digest_of(parts.unbound, hash_name):
        raise Malformed("key binding is over another SD-JWT")
    # §7.3 step 5b, 5c (KB-03, KB-04)
    jose.verify_jwt(unverified, key, algorithms=KEY_BINDING_ALGORITHMS)
