"""Credentials of format `dc+sd-jwt`: SD-JWT VC (draft-ietf-oauth-sd-jwt-vc) as HAIP §6.1 profiles it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from app.formats import sd_jwt
from app.formats.sd_jwt import DisclosableClaim
from app.protocol import jose, jwk
from app.protocol.claims import CLOCK_SKEW, ClaimTable, judge_shape, numeric_date, text
from app.protocol.strict_json import Malformed
from app.protocol.x509 import encode_x5c, read_x5c, verify_chain

TYPE: Final = "dc+sd-jwt"

NEVER_DISCLOSABLE: Final = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"})
"""Claims that stand in the signed payload itself (SD-JWT VC §2.2.2.3)."""

RESERVED: Final = NEVER_DISCLOSABLE | {"iat"}
"""Top-level claims that are the issuer's; a mapped claim cannot have these names (M-24)."""

_DAY: Final = 86_400
_MAX_LENGTH: Final = 262_144
_MAX_JWT_LENGTH: Final = 131_072


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

    `holder_jwk` is the public key it is bound to. How claims nest is told at `sd_jwt.blind`. Raises `ValueError` for
    claims that have a reserved name or contradict each other.
    """
    if any(claim.path[0] in RESERVED for claim in claims):
        raise ValueError("a claim has a reserved name")
    payload, disclosures = sd_jwt.blind(claims, salt=salt)
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


class IntactCredential(Struct, frozen=True, kw_only=True):
    """A credential whose signature, disclosures and times are right, by whomever it was signed."""

    vct: str
    issuer: str | None
    claims: dict[str, Any]
    """Everything, disclosed claims in their places."""
    holder_jwk: dict[str, Any] | None
    issuer_certificate: x509.Certificate
    header: dict[str, Any]


class VerifiedCredential(IntactCredential, frozen=True, kw_only=True):
    """An intact credential whose issuer's chain leads to a trust anchor; only `verify` makes one.

    Holder binding has not been shown, and `status` has not been looked up.
    """


CLAIMS: Final = ClaimTable(
    # SD-JWT VC §2.2.2.3 (SD-19, SD-21, VC-01, VC-15)
    required={"vct": text(max_length=2048)},
    optional={
        "iss": text(max_length=2048),
        "iat": numeric_date,
        "nbf": numeric_date,
        "exp": numeric_date,
        "cnf": lambda value: isinstance(value, dict),
        "status": lambda value: isinstance(value, dict),
    },
    ignored=frozenset({"sub", "aud", "jti", "vct#integrity", "aka_vcts"}),
)


def verify(
    credential: str, *, anchors: Sequence[x509.Certificate], algorithms: Collection[str], now: int
) -> VerifiedCredential:
    """Verify a credential without key binding: the issuer's chain and signature, every disclosure, the times.

    `anchors` are the CAs trusted for this kind of credential. Raises `Malformed` or `jose.BadSignature`.
    """
    unverified, disclosures, chain = _parse(credential)
    verify_chain(chain, anchors=anchors, now=now)
    return VerifiedCredential(**_judge(unverified, disclosures, chain[0], algorithms=algorithms, now=now))


def inspect(credential: str, *, algorithms: Collection[str], now: int) -> IntactCredential:
    """Judge a credential as `verify` does, but not where the issuer's chain leads.

    For a holder who looks at what it was given, never for a credential that is presented to us.
    """
    unverified, disclosures, chain = _parse(credential)
    return IntactCredential(**_judge(unverified, disclosures, chain[0], algorithms=algorithms, now=now))


def _parse(credential: str) -> tuple[jose.UnverifiedJwt, list[str], list[x509.Certificate]]:
    issuer_jwt, disclosures = split(credential)
    unverified = jose.parse_jwt(issuer_jwt, max_length=_MAX_JWT_LENGTH)
    # SD-24, G-14
    if unverified.header.get("typ") != TYPE:
        raise Malformed("credential is not of type dc+sd-jwt")
    # HAIP §6.1.1 (VC-06, VC-16): the key is the leaf's, whatever else the header names.
    return unverified, disclosures, read_x5c(unverified.header.get("x5c"))


def _judge(
    unverified: jose.UnverifiedJwt,
    disclosures: list[str],
    leaf: x509.Certificate,
    *,
    algorithms: Collection[str],
    now: int,
) -> dict[str, Any]:
    """Return the members of an `IntactCredential`."""
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Malformed("credential is not signed by an EC key")
    signed = jose.verify_jwt(unverified, key, algorithms=algorithms)
    claims = sd_jwt.reveal(signed.payload, disclosures)
    # SD-20: with their members, these are as signed; nothing of them was or could be disclosed.
    for name in NEVER_DISCLOSABLE:
        if (name in claims) != (name in signed.payload) or claims.get(name) != signed.payload.get(name):
            raise Malformed(f"{name} is selectively disclosable")
    judge_shape(claims, CLAIMS)
    _judge_times(claims, now)
    return {
        "vct": claims["vct"],
        "issuer": claims.get("iss"),
        "claims": claims,
        "holder_jwk": _holder_jwk(claims.get("cnf")),
        "issuer_certificate": leaf,
        "header": signed.header,
    }


def split(credential: str) -> tuple[str, list[str]]:
    """Return the issuer's JWT and the disclosures of an SD-JWT without key binding. Raises `Malformed`."""
    # SD-23
    if len(credential) > _MAX_LENGTH:
        raise Malformed("credential too long")
    # RFC 9901 §4 (SD-01, SD-02): JWT "~" *(disclosure "~")
    issuer_jwt, *disclosures = credential.split("~")
    if not disclosures or disclosures.pop() != "":
        raise Malformed("credential does not end in ~")
    return issuer_jwt, disclosures


def _judge_times(claims: Mapping[str, Any], now: int) -> None:
    # RFC 9901 §7.1 step 6 (SD-21)
    if "exp" in claims and claims["exp"] <= now - CLOCK_SKEW:
        raise Malformed("credential has expired")
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + CLOCK_SKEW:
        raise Malformed("credential is not valid yet")


def _holder_jwk(cnf: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if cnf is None:
        return None
    # KB-12, KB-13: a public key by value and nothing else.
    if cnf.keys() != {"jwk"} or not isinstance(cnf["jwk"], dict):
        raise Malformed("cnf is not a jwk")
    holder_jwk: dict[str, Any] = cnf["jwk"]
    algorithm = next((name for name, entry in jose.ALGORITHMS.items() if entry.crv == holder_jwk.get("crv")), "")
    jwk.import_public_jwk(holder_jwk, algorithm=algorithm)
    return holder_jwk
