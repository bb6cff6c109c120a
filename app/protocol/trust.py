"""Whom a tenant trusts to have issued what is presented: finding an issuer's key by a mechanism fixed beforehand.

SD-JWT VC §2.5, HAIP §6.1.1, RFC 5280 §6. The mechanism is the trust's, never the presentation's (VC-07, AG-19), and
nothing is fetched.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from app.document.presentation import CertifiedName, JwksTrust, TenantTrust, Trust, X509Trust
from app.protocol import base64url, jose, jwk
from app.protocol.strict_json import Malformed
from app.protocol.x509 import alternative_names, read_pem, read_x5c, verify_chain

ISSUER_ALGORITHMS: Final = tuple(jose.ALGORITHMS)
"""What credentials of trusted issuers may be signed with: `sd-jwt_alg_values` of requests (REQ-10)."""

KEY_BINDING_ALGORITHMS: Final = tuple(jose.ALGORITHMS)
"""What holders may sign presentations with: `kb-jwt_alg_values` of requests (REQ-10)."""

# An `iss` that a DNS name can vouch for: https and a plain host; no user, query, fragment or other spelling (I-09).
_HTTPS_ISSUER: Final = re.compile(r"https://([a-z0-9.-]+)(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%/-]*)?")


class CertifiedIssuers(Struct, frozen=True, kw_only=True):
    """Issuers whose chains lead to one of these authorities."""

    anchors: Sequence[x509.Certificate]
    names: Sequence[CertifiedName] | None
    """Only these of them; None: all."""
    issuer: str | None
    """The `iss` their credentials must have if they have one; None: one that their certificate names."""


class KnownIssuer(Struct, frozen=True, kw_only=True):
    """One issuer by its keys."""

    issuer: str
    keys: Sequence[dict[str, Any]]


TrustedIssuers = CertifiedIssuers | KnownIssuer


class IssuerKey(Struct, frozen=True, kw_only=True):
    """The key of a trusted issuer; only `find_issuer_key` makes one. That it signed anything is not known yet."""

    key: ec.EllipticCurvePublicKey
    issuer: str
    """The `iss` that trust established, or else the leaf's subject as RFC 4514 spells it."""
    chain: Sequence[x509.Certificate]
    """The validated chain, leaf first, without its anchor; empty where the key is known by itself."""


def trusted_issuers(trust: Trust) -> TrustedIssuers:
    """Return what a document's trust stands for. A tenant that was not resolved trusts nobody.

    Raises `Malformed` for an anchor that is not a certificate in PEM.
    """
    match trust:
        case X509Trust():
            return CertifiedIssuers(anchors=_certificates(trust.anchors), names=trust.issuers, issuer=None)
        case JwksTrust():
            return KnownIssuer(issuer=trust.issuer, keys=trust.keys)
        case TenantTrust():
            if trust.resolved is None:
                return CertifiedIssuers(anchors=(), names=None, issuer=None)
            anchors = _certificates(trust.resolved.anchors)
            return CertifiedIssuers(anchors=anchors, names=None, issuer=trust.resolved.issuer)


def find_issuer_key(
    header: Mapping[str, Any], payload: Mapping[str, Any], *, trusted: Sequence[TrustedIssuers], now: int
) -> IssuerKey:
    """Find the key of the issuer a credential says it has, by the trust that is for this issuer.

    `header` and `payload` are the credential's, not verified yet. An issuer that some of `trusted` name is judged by
    those alone: whoever else is trusted cannot speak for it (VC-07, AG-19). Raises `Malformed`.
    """
    issuer = payload.get("iss")
    known = [trust for trust in trusted if isinstance(trust, KnownIssuer) and trust.issuer == issuer]
    if known:
        return _known_key(header, known)
    certified = [trust for trust in trusted if isinstance(trust, CertifiedIssuers)]
    if issuer is not None:
        certified = [trust for trust in certified if trust.issuer == issuer] or certified
    if not certified:
        raise Malformed("issuer is not trusted")
    chain = _presented_chain(header)
    refusals: list[str] = []
    for trust in certified:
        try:
            return _certified_key(chain, issuer, trust, now)
        except Malformed as refusal:
            refusals.append(str(refusal))
    raise Malformed("; ".join(dict.fromkeys(refusals)))


def _known_key(header: Mapping[str, Any], known: Sequence[KnownIssuer]) -> IssuerKey:
    # SD-JWT VC §2.5 (VC-07, AG-19): this issuer's keys are known; a certificate is another mechanism.
    if "x5c" in header or "x5t#S256" in header:
        raise Malformed("certificate of an issuer whose keys are known")
    # VC-11: `kid` is compared, never looked up anywhere; a key without one answers to any.
    key_id = header.get("kid")
    keys = [key for trust in known for key in trust.keys if key_id is None or key.get("kid", key_id) == key_id]
    if len(keys) != 1:
        raise Malformed("no one key of the issuer is meant")
    return IssuerKey(key=jwk.import_public_jwk(keys[0], algorithm=header["alg"]), issuer=known[0].issuer, chain=())


def _presented_chain(header: Mapping[str, Any]) -> list[x509.Certificate]:
    # HAIP §6.1.1 (VC-06, VC-16): by value, in the header that is signed.
    chain = read_x5c(header.get("x5c"))
    # RFC 7515 §4.1.8 (X-09, I-12)
    if "x5t#S256" in header and header["x5t#S256"] != base64url.encode(chain[0].fingerprint(hashes.SHA256())):
        raise Malformed("x5t#S256 is of another certificate")
    return chain


def _certified_key(
    chain: Sequence[x509.Certificate], issuer: str | None, trust: CertifiedIssuers, now: int
) -> IssuerKey:
    leaf = chain[0]
    # X-11, I-04: which of those the authority certifies.
    if trust.names is not None and not any(_is_named(leaf, name) for name in trust.names):
        raise Malformed("certificate is not of a trusted issuer")
    # SD-JWT VC §2.2.2.3, §2.5 (VC-15): `iss` may be absent; present, it is not the credential alone that says so.
    if issuer is not None and not _may_call_itself(leaf, issuer, trust):
        raise Malformed("iss is not that of the certificate")
    verify_chain(chain, anchors=trust.anchors, now=now)
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Malformed("issuer's key is not an EC key")
    return IssuerKey(key=key, issuer=issuer or trust.issuer or leaf.subject.rfc4514_string(), chain=tuple(chain))


def _is_named(leaf: x509.Certificate, name: CertifiedName) -> bool:
    # I-09: the whole string, and never the common name for a host; a certificate's `*` is a star.
    if name.subject is not None:
        return leaf.subject.rfc4514_string() == name.subject
    if name.san_dns is not None:
        return _has_name(leaf, x509.DNSName, name.san_dns)
    return name.san_uri is not None and _has_name(leaf, x509.UniformResourceIdentifier, name.san_uri)


def _may_call_itself(leaf: x509.Certificate, issuer: Any, trust: CertifiedIssuers) -> bool:
    if trust.issuer is not None:
        return bool(issuer == trust.issuer)
    if not isinstance(issuer, str):
        return False
    https = _HTTPS_ISSUER.fullmatch(issuer)
    return _has_name(leaf, x509.UniformResourceIdentifier, issuer) or (
        https is not None and _has_name(leaf, x509.DNSName, https[1])
    )


def _has_name(leaf: x509.Certificate, kind: type[x509.GeneralName], value: str) -> bool:
    return any(isinstance(name, kind) and name.value == value for name in alternative_names(leaf))


def _certificates(pems: Sequence[str]) -> tuple[x509.Certificate, ...]:
    return tuple(certificate for pem in pems for certificate in _anchors(pem))


@lru_cache(maxsize=1024)
def _anchors(pem: str) -> tuple[x509.Certificate, ...]:
    # A document's anchors are read once, not with every presentation.
    return tuple(read_pem(pem))
