"""Credentials of format `dc+sd-jwt`: SD-JWT VC (draft-ietf-oauth-sd-jwt-vc) as HAIP §6.1 profiles it.

Issuing them; `app.formats.sd_jwt_vc_verification` verifies.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from app.formats import sd_jwt, sd_jwt_blinding
from app.formats.sd_jwt_blinding import DisclosableClaim
from app.protocol import jose
from app.protocol.x509 import encode_x5c

TYPE: Final = "dc+sd-jwt"

NEVER_DISCLOSABLE: Final = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"})
"""Claims that stand in the signed payload itself (SD-JWT VC §2.2.2.3)."""

RESERVED: Final = NEVER_DISCLOSABLE | {"iat"}
"""Top-level claims that are the issuer's; a mapped claim cannot have these names (M-24)."""

_DAY: Final = 86_400


def validity_period(*, now: int, validity: int) -> tuple[int, int]:
    """Return `iat` and `exp` of a credential issued now, in whole days (RFC 9901 §10.1, CR-14).

    Rounded times do not tell which credentials were issued together. `iat` is the beginning of the day; `exp` is
    `validity` seconds, taken as whole days and at least one, after it.
    """
    issued_at = now - now % _DAY
    return issued_at, issued_at + -(-validity // _DAY) * _DAY


class UnsignedCredential(Struct, frozen=True):
    """A credential that lacks its signature only."""

    signing_input: bytes
    disclosures: list[str]

    def complete(self, signature: bytes) -> str:
        """Return the credential as it is issued, ending in `~`: no key binding (RFC 9901 §4)."""
        return "~".join([jose.compact(self.signing_input, signature), *self.disclosures, ""])


def build(
    claims: Sequence[DisclosableClaim],
    *,
    vct: str,
    issuer: str,
    issued_at: int,
    expires_at: int,
    holder_jwk: Mapping[str, Any],
    certificate_chain: Sequence[bytes],
    algorithm: str,
    key_id: str | None = None,
    salt: Callable[[], str],
) -> UnsignedCredential:
    """Build a credential to be signed by the key of `certificate_chain` (DER, leaf first, without the anchor).

    `holder_jwk` is the public key it is bound to. How claims nest is told at `sd_jwt_blinding.blind`. Raises
    `ValueError` for claims that have a reserved name or contradict each other.
    """
    if any(claim.path[0] in RESERVED for claim in claims):
        raise ValueError("a claim has a reserved name")
    payload, disclosures = sd_jwt_blinding.blind(claims, salt=salt)
    # HAIP §6.1.1 (HA-14, VC-16, X-01): the key by its chain, the anchor not in it.
    header: dict[str, Any] = {"typ": TYPE, "alg": algorithm, "x5c": encode_x5c(certificate_chain)}
    if key_id is not None:
        header["kid"] = key_id
    payload |= {
        "iss": issuer,
        "iat": issued_at,
        "exp": expires_at,
        "vct": vct,
        # RFC 7800 §3.2 (VC-18, CR-19)
        "cnf": {"jwk": dict(holder_jwk)},
    }
    if disclosures:
        payload["_sd_alg"] = sd_jwt.HASH_NAME
    return UnsignedCredential(jose.signing_input(header, payload), disclosures)
