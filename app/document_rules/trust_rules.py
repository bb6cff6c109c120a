"""What makes sense in the `trust` of a tenant document: certificates and keys that can be used, and no private ones."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.document.model import TenantDocument
from app.document.presentation import CertifiedName, JwksTrust, TenantTrust, X509Trust
from app.document.problem import Finding, Path
from app.document_rules.names import repeated
from app.protocol import jose, jwk
from app.protocol.redirect_uri import DNS_NAME
from app.protocol.strict_json import Malformed
from app.protocol.trust import ISSUER_ALGORITHMS
from app.protocol.x509 import read_pem

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")


def trust(document: TenantDocument) -> Iterator[Finding]:
    """Judge every entry of `trust`."""
    named = {
        name
        for presentation in document.presentations.values()
        for names in presentation.trust.values()
        for name in names
    }
    for name, entry in document.trust.items():
        path: Path = ("trust", name)
        if name not in named:
            yield Finding(
                path, "No presentation trusts these issuers.", "Remove it, or name it in a presentation.", "warning"
            )
        match entry:
            case X509Trust():
                yield from _authorities(entry, path)
            case JwksTrust():
                yield from _known_issuer(entry, path)
            case TenantTrust(resolved=resolved) if resolved is not None:
                yield Finding(
                    (*path, "resolved"), "The service writes this when the document is applied.", "Leave it out."
                )


def _authorities(entry: X509Trust, path: Path) -> Iterator[Finding]:
    for index, anchor in enumerate(entry.anchors):
        yield from _anchor(anchor, (*path, "anchors", index))
    if entry.issuers is None:
        yield Finding(
            path,
            "Every issuer these authorities certify is trusted.",
            "List those that are meant under `issuers`, unless the authorities certify no others.",
            "note",
        )
    for index, name in enumerate(entry.issuers or []):
        yield from _certified_name(name, (*path, "issuers", index))


def _anchor(pem: str, path: Path) -> Iterator[Finding]:
    certificate = _certificate(pem)
    if certificate is None:
        yield Finding(
            path,
            "This is not one certificate in PEM that can be read.",
            "Give -----BEGIN CERTIFICATE----- to -----END CERTIFICATE----- and nothing else; several one by one.",
        )
        return
    if not _may_certify(certificate):
        yield Finding(
            path,
            "This is not the certificate of a certification authority.",
            "Give that of the authority above the issuer; an issuer without one is trusted with `type: jwks`.",
        )
    if not _has_strong_key(certificate):
        yield Finding(
            path,
            "The authority's key is too weak, or of a kind that is not accepted.",
            "Keys on P-256, P-384 and P-521 are, and RSA keys of 2048 bits or more.",
        )


def _certificate(pem: str) -> x509.Certificate | None:
    # A file with the private key beside the certificate shall not become part of a document.
    if pem.count("-----BEGIN ") != 1:
        return None
    try:
        [certificate] = read_pem(pem)
    except Malformed:
        return None
    return certificate


def _may_certify(certificate: x509.Certificate) -> bool:
    # RFC 5280 §4.2.1.9, §6.1.4 (k), (n)
    found = {type(extension.value): extension for extension in certificate.extensions}
    constraints, usage = found.get(x509.BasicConstraints), found.get(x509.KeyUsage)
    return constraints is not None and constraints.value.ca and (usage is None or usage.value.key_cert_sign)


def _has_strong_key(certificate: x509.Certificate) -> bool:
    match certificate.public_key():
        case ec.EllipticCurvePublicKey(curve=curve):
            return any(curve.name == algorithm.curve.name for algorithm in jose.ALGORITHMS.values())
        case rsa.RSAPublicKey(key_size=size):
            return size >= 2048
    return False


def _certified_name(name: CertifiedName, path: Path) -> Iterator[Finding]:
    if [name.subject, name.san_dns, name.san_uri].count(None) != 2:
        yield Finding(path, "An issuer is named in exactly one way.", "Give one of `subject`, `san_dns` and `san_uri`.")
    if name.subject is not None and (spelled := _canonical_subject(name.subject)) != name.subject:
        yield Finding(
            (*path, "subject"),
            "This is not how RFC 4514 spells a subject.",
            f"Write `{spelled}`." if spelled else "Write it like `CN=PID Issuer,O=Example,C=DE`.",
        )
    if name.san_dns is not None and not re.fullmatch(DNS_NAME, name.san_dns):
        yield Finding((*path, "san_dns"), "This is no DNS name.", "Write a host name in lower case.")
    if name.san_uri is not None and not _URI.fullmatch(name.san_uri):
        yield Finding((*path, "san_uri"), "This is no URI.", "Write it as the certificate has it.")


def _canonical_subject(text: str) -> str | None:
    try:
        return x509.Name.from_rfc4514_string(text).rfc4514_string()
    except ValueError:
        return None


def _known_issuer(entry: JwksTrust, path: Path) -> Iterator[Finding]:
    if not _URI.fullmatch(entry.issuer):
        yield Finding((*path, "issuer"), "This is no URI.", "Write the `iss` of the issuer's credentials.")
    for index, key in enumerate(entry.keys):
        here = (*path, "keys", index)
        if not jwk.SECRET_MEMBERS.isdisjoint(key):
            yield Finding(
                here,
                "This key is a private one.",
                "Give the public members only, and replace the key: whoever saw this file has it.",
            )
        elif not _is_usable(key):
            yield Finding(
                here,
                "Credentials cannot be verified with this key.",
                "Give `kty: EC`, `crv` P-256, P-384 or P-521, `x`, `y`; `alg`, `use`, `key_ops` only if they fit.",
            )
    # VC-11: `kid` says which is meant.
    names = [key.get("kid") for key in entry.keys]
    texts = [name for name in names if isinstance(name, str)]
    if len(names) > 1 and (len(texts) < len(names) or repeated(texts)):
        yield Finding((*path, "keys"), "It is not clear which key is meant.", "Give each key a `kid` of its own.")


def _is_usable(key: Mapping[str, Any]) -> bool:
    """Whether some algorithm that issuers may sign with takes the key."""
    for algorithm in ISSUER_ALGORITHMS:
        try:
            jwk.import_public_jwk(key, algorithm=algorithm)
        except Malformed:
            continue
        return True
    return False
