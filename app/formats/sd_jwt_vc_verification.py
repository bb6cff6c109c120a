"""Verifying credentials of format `dc+sd-jwt` (SD-JWT VC §2.4, RFC 9901 §7, HAIP §6.1).

`verify_presentation` is for a verifier, who is shown one by its holder; `verify` and `inspect` are for a holder, who
looks at what it was given.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct
from msgspec.structs import asdict

from app.formats import sd_jwt
from app.formats.key_binding import judge_key_binding
from app.formats.sd_jwt_vc import NEVER_DISCLOSABLE, TYPE
from app.protocol import jose, jwk
from app.protocol.claims import CLOCK_SKEW, ClaimTable, judge_shape, numeric_date, text
from app.protocol.presentation import Expected, VerifiedPresentation
from app.protocol.strict_json import Malformed
from app.protocol.trust import ISSUER_ALGORITHMS, TrustedIssuers, find_issuer_key
from app.protocol.x509 import authority_key_ids, read_x5c, verify_chain

CLAIMS: Final = ClaimTable(
    # SD-JWT VC §2.2.2.3 (SD-19, SD-21, VC-01, VC-15)
    required={"vct": text(max_length=2048)},
    optional={
        "iss": text(max_length=2048),
        "aud": lambda value: isinstance(value, str | list),
        "iat": numeric_date,
        "nbf": numeric_date,
        "exp": numeric_date,
        "cnf": lambda value: isinstance(value, dict),
        "status": lambda value: isinstance(value, dict),
    },
    ignored=frozenset({"sub", "jti", "vct#integrity", "aka_vcts"}),
)


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


def verify_presentation(
    presentation: str, *, trusted: Sequence[TrustedIssuers], expected: Expected, status_unchecked: bool
) -> VerifiedPresentation:
    """Verify a credential with key binding (RFC 9901 §7.3), by a trusted issuer, for what is expected of its holder.

    `status_unchecked` takes credentials that have a `status`, which is not looked up; otherwise they are refused.
    Raises `Malformed` or `jose.BadSignature`.
    """
    parts = _split(presentation)
    # RFC 9901 §7.3 step 1 (SD-02, KB-01): what arrived has no say in it.
    if not parts.key_binding_jwt:
        raise Malformed("presentation without key binding")
    issuer = find_issuer_key(parts.issuer_jwt.header, parts.issuer_jwt.payload, trusted=trusted, now=expected.now)
    claims = _verified_claims(parts, issuer.key, algorithms=ISSUER_ALGORITHMS, now=expected.now)
    # RFC 7519 §4.1.3 (SD-26)
    if "aud" in claims and not _is_for(claims["aud"], expected.audiences):
        raise Malformed("credential is for another audience")
    # SD-JWT VC §2.4 (VC-12): not known to be alive is not alive.
    if "status" in claims and not status_unchecked:
        raise Malformed("credential with a status")
    # HAIP §6.1 (VC-17)
    if "status_list" not in claims.get("status", {"status_list"}):
        raise Malformed("status without status_list")
    # SD-19, KB-15
    if "cnf" not in claims:
        raise Malformed("credential without holder key")
    holder_key = _holder_key(claims["cnf"])
    judge_key_binding(parts, hash_name=sd_jwt.hash_name(parts.issuer_jwt.payload), key=holder_key, expected=expected)
    return VerifiedPresentation(
        format=TYPE,
        vct=claims["vct"],
        issuer=issuer.issuer,
        claims=claims,
        holder_jkt=jwk.thumbprint(claims["cnf"]["jwk"]),
        authority_key_ids=authority_key_ids(issuer.chain),
    )


def verify(
    credential: str, *, anchors: Sequence[x509.Certificate], algorithms: Collection[str], now: int
) -> VerifiedCredential:
    """Verify a credential without key binding: the issuer's chain and signature, every disclosure, the times.

    `anchors` are the CAs trusted for this kind of credential. Raises `Malformed` or `jose.BadSignature`.
    """
    parts, chain = _split_unbound(credential)
    verify_chain(chain, anchors=anchors, now=now)
    intact = _judge(parts, chain[0], algorithms=algorithms, now=now)
    return VerifiedCredential(**asdict(intact))


def inspect(credential: str, *, algorithms: Collection[str], now: int) -> IntactCredential:
    """Judge a credential as `verify` does, but not where the issuer's chain leads.

    For a holder who looks at what it was given, never for a credential that is presented to us.
    """
    parts, chain = _split_unbound(credential)
    return _judge(parts, chain[0], algorithms=algorithms, now=now)


def _split(credential: str) -> sd_jwt.SdJwt:
    parts = sd_jwt.split(credential)
    # SD-24, AG-14
    if parts.issuer_jwt.header.get("typ") != TYPE:
        raise Malformed("credential is not of type dc+sd-jwt")
    return parts


def _split_unbound(credential: str) -> tuple[sd_jwt.SdJwt, list[x509.Certificate]]:
    parts = _split(credential)
    # SD-02
    if parts.key_binding_jwt:
        raise Malformed("credential does not end in ~")
    # HAIP §6.1.1 (VC-06, VC-16): the key is the leaf's, whatever else the header names.
    return parts, read_x5c(parts.issuer_jwt.header.get("x5c"))


def _judge(parts: sd_jwt.SdJwt, leaf: x509.Certificate, *, algorithms: Collection[str], now: int) -> IntactCredential:
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Malformed("credential is not signed by an EC key")
    claims = _verified_claims(parts, key, algorithms=algorithms, now=now)
    return IntactCredential(
        vct=claims["vct"],
        issuer=claims.get("iss"),
        claims=claims,
        holder_jwk=jwk.export_public_jwk(_holder_key(claims["cnf"])) if "cnf" in claims else None,
        issuer_certificate=leaf,
        header=parts.issuer_jwt.header,
    )


def _verified_claims(
    parts: sd_jwt.SdJwt, key: ec.EllipticCurvePublicKey, *, algorithms: Collection[str], now: int
) -> dict[str, Any]:
    """Return the processed payload once issuer's signature, disclosures, shape and times are right."""
    # RFC 9901 §7.1 step 2 (SD-03, SD-04)
    signed = jose.verify_jwt(parts.issuer_jwt, key, algorithms=algorithms)
    claims = sd_jwt.reveal(signed.payload, parts.disclosures)
    # SD-20: with their members, these are as signed; nothing of them was or could be disclosed.
    for name in NEVER_DISCLOSABLE:
        if (name in claims) != (name in signed.payload) or claims.get(name) != signed.payload.get(name):
            raise Malformed(f"{name} is selectively disclosable")
    judge_shape(claims, CLAIMS)
    # RFC 9901 §7.1 step 6 (SD-21)
    if "exp" in claims and claims["exp"] <= now - CLOCK_SKEW:
        raise Malformed("credential has expired")
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + CLOCK_SKEW:
        raise Malformed("credential is not valid yet")
    return claims


def _is_for(audience: str | list[Any], expected: Sequence[str]) -> bool:
    return any(entry in expected for entry in (audience if isinstance(audience, list) else [audience]))


def _holder_key(cnf: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    # RFC 7800 §3.2 (KB-12, KB-13): a public key by value and nothing else; nothing is fetched.
    if cnf.keys() != {"jwk"} or not isinstance(cnf["jwk"], dict):
        raise Malformed("cnf is not a jwk")
    algorithm = next((name for name, entry in jose.ALGORITHMS.items() if entry.crv == cnf["jwk"].get("crv")), "")
    return jwk.import_public_jwk(cnf["jwk"], algorithm=algorithm)
