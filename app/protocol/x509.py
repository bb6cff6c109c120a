"""Certificates: reading them (RFC 5280 §4), and chains in JOSE headers (`x5c`, RFC 7515 §4.1.6), validated to given
anchors as HAIP demands.

Nothing is fetched: no AIA, CRL or OCSP address in a certificate is followed (X-07), so revocation is not judged.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy

from app.protocol.strict_json import Malformed

_MAX_CHAIN = 5
_MAX_ENTRY = 21_848
"""16 KiB in base64."""
_MAX_REMEMBERED = 4096
"""Characters of base64: what is longer is no usual certificate, and anybody may send it."""
_MAX_NAMES = 64
_MAX_RSA_EXPONENT_BITS = 32

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for octets that are not a certificate, or not one it can read."""


def read_der(der: bytes) -> x509.Certificate:
    """Return the one certificate these octets are, read through. Raises `Malformed`."""
    try:
        return _read_through(x509.load_der_x509_certificate(der))
    except _UNREADABLE:
        raise Malformed("not a certificate") from None


def read_pem(pem: str | bytes) -> list[x509.Certificate]:
    """Return the certificates in a PEM text (RFC 7468 §5), one or more, each read through. Raises `Malformed`.

    What is between them, and blocks of other kinds, is passed over.
    """
    try:
        octets = pem.encode() if isinstance(pem, str) else pem
        return [_read_through(certificate) for certificate in x509.load_pem_x509_certificates(octets)]
    except _UNREADABLE:
        raise Malformed("no certificates in PEM") from None


def encode_x5c(chain: Sequence[bytes]) -> list[str]:
    """Return the `x5c` of DER certificates, leaf first: base64, not base64url (RFC 7515 §4.1.6)."""
    return [base64.b64encode(certificate).decode("ascii") for certificate in chain]


def read_x5c(value: Any) -> list[x509.Certificate]:
    """Return the certificates of an `x5c` header, leaf first. Raises `Malformed`."""
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_CHAIN:
        raise Malformed("x5c is not a short array")
    if not all(isinstance(entry, str) and len(entry) <= _MAX_ENTRY for entry in value):
        raise Malformed("x5c entry is not a certificate")
    return [(_remembered if len(entry) <= _MAX_REMEMBERED else _certificate)(entry) for entry in value]


def verify_chain(chain: Sequence[x509.Certificate], *, anchors: Sequence[x509.Certificate], now: int) -> None:
    """Validate a chain, leaf first, without its anchor, to one of `anchors` at the time `now` (RFC 5280 §6).

    Raises `Malformed` where it is not valid, not in order, or not as HAIP §6.1.1 wants it.
    """
    # HAIP §6.1.1 (X-01, X-02, I-01, I-02): no anchor in the chain, the leaf is not self-signed. The path validation
    # accepts both.
    if any(certificate in anchors for certificate in chain):
        raise Malformed("x5c holds the trust anchor")
    if chain[0].issuer == chain[0].subject:
        raise Malformed("x5c leaf is self-signed")
    # X-08, I-08, I-10: in order, each name once. Who sends several certificates of one name makes the path validation
    # try every way through them, with a signature to verify at each step.
    subjects = [certificate.subject for certificate in chain]
    if [certificate.issuer for certificate in chain[:-1]] != subjects[1:] or len(set(subjects)) < len(subjects):
        raise Malformed("x5c is not in order")
    if not anchors:
        raise Malformed("no trust anchor")
    at = datetime.fromtimestamp(now, UTC)
    valid_anchors = tuple(anchor for anchor in anchors if _is_valid(anchor, at))
    if not valid_anchors or not all(_is_valid(certificate, at) for certificate in chain):
        raise Malformed("x5c does not lead to a trust anchor")
    _verify_path(tuple(chain), valid_anchors)


def _is_valid(certificate: x509.Certificate, at: datetime) -> bool:
    # RFC 5280 §4.1.2.5: both ends included
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


@lru_cache(maxsize=64)
def _verify_path(chain: tuple[x509.Certificate, ...], anchors: tuple[x509.Certificate, ...]) -> None:
    """Validate a chain to one of `anchors` at a moment at which all of them are valid; which one makes no difference.

    Remembered, because all presentations of one issuer bring the same chain. What is refused is not: only trusted
    authorities take up memory.
    """
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(anchors)))
        .time(max(certificate.not_valid_before_utc for certificate in (*chain, *anchors)))
        .max_chain_depth(_MAX_CHAIN)
        .extension_policies(ca_policy=_CA_POLICY, ee_policy=_LEAF_POLICY)
        .build_client_verifier()
    )
    try:
        path = verifier.verify(chain[0], list(chain[1:])).chain
    except (verification.VerificationError, *_UNREADABLE):
        raise Malformed("x5c does not lead to a trust anchor") from None
    # X-08, I-10: what was sent is the path, in order, and nothing else.
    if list(path[:-1]) != list(chain):
        raise Malformed("x5c is not in order")


def authority_key_ids(chain: Sequence[x509.Certificate]) -> frozenset[bytes]:
    """Return the key identifiers in the Authority Key Identifiers of a chain (RFC 5280 §4.2.1.1; DE-14)."""
    found: set[bytes] = set()
    for certificate in chain:
        for extension in certificate.extensions:
            if isinstance(extension.value, x509.AuthorityKeyIdentifier) and extension.value.key_identifier is not None:
                found.add(extension.value.key_identifier)
    return frozenset(found)


def alternative_names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    """Return the subject alternative names of a certificate (RFC 5280 §4.2.1.6)."""
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _read_through(certificate: x509.Certificate) -> x509.Certificate:
    # The library parses these on first use; what is broken in them shall fail where the certificate is read.
    _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.public_key()
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return certificate


@lru_cache(maxsize=64)
def _remembered(entry: str) -> x509.Certificate:
    # All presentations of one issuer bring the same. Nobody has to be trusted to be remembered, and in memory a
    # certificate may be forty times its size: hence few, and none that is large.
    return _certificate(entry)


def _certificate(entry: str) -> x509.Certificate:
    try:
        der = base64.b64decode(entry, validate=True)
        certificate = read_der(der)
        public_key = certificate.public_key()
        key_info = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _UNREADABLE:
        raise Malformed("x5c entry is not a certificate") from None
    # bits that do not count, of base64 or of the signature, would be a second spelling.
    if base64.b64encode(der).decode("ascii") != entry or not der.endswith(b"\0" + certificate.signature):
        raise Malformed("x5c entry is not spelled in the one way")
    # RFC 5480 §2.1.1 (X-05, I-08): a curve by its name, no parameters.
    if key_info not in certificate.tbs_certificate_bytes:
        raise Malformed("x5c certificate spells its key in another way")
    # X-05, I-08: what verifying with a key costs is for its maker to choose, within bounds.
    if isinstance(public_key, RSAPublicKey) and public_key.public_numbers().e.bit_length() > _MAX_RSA_EXPONENT_BITS:
        raise Malformed("x5c certificate has an unusual key")
    # X-05, I-08: each is compared with each name constraint above it, before any signature of the chain is known.
    if len(alternative_names(certificate)) > _MAX_NAMES:
        raise Malformed("x5c certificate has too many names")
    return certificate


def _has_certificate_signing(_: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    # RFC 5280 §6.1.4 (n)
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("key usage forbids signing certificates")


def _does_not_constrain_subjects(
    _: Policy, certificate: x509.Certificate, extension: x509.NameConstraints | None
) -> None:
    # RFC 5280 §4.2.1.10 (X-03, I-06): the path validation compares alternative names only, and does not say so where
    # the extension is not critical.
    if extension is None:
        return
    names = [*(extension.permitted_subtrees or ()), *(extension.excluded_subtrees or ())]
    if any(isinstance(name, x509.DirectoryName) for name in names):
        raise ValueError("subjects are constrained")


def _has_digital_signature(_: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    # RFC 5280 §4.2.1.3
    if extension is not None and not extension.digital_signature:
        raise ValueError("key usage forbids signatures")


# RFC 5280 §6.1.4 (k) (I-03): that the basic constraints say CA, and the path length, the path validation checks.
_CA_POLICY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.CRITICAL, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _has_certificate_signing)
    .may_be_present(x509.NameConstraints, Criticality.AGNOSTIC, _does_not_constrain_subjects)
)
_LEAF_POLICY = ExtensionPolicy.permit_all().may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _has_digital_signature)
