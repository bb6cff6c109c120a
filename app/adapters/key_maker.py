"""Makes ES256 keys and development certificates, and reads imported ones."""

import datetime
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from app.ports import Entropy
from app.protocol.jwk import export_public_jwk, thumbprint
from app.protocol.refusal import Refusal
from app.protocol.strict_json import Malformed
from app.protocol.x509 import read_pem
from app.records import KeyPurpose, SigningKey

KeyOrigin = Literal["generated", "development", "imported"]

_DAY: Final = 86_400
_BACKDATED: Final = 2 * _DAY
"""Credential times are rounded down to the day, and a certificate must be valid then."""
_CA_LIFE: Final = 3650 * _DAY
_LEAF_LIFE: Final = 825 * _DAY
_NAME_LENGTH: Final = 64
"""RFC 5280 appendix A.1: upper bound of common and organization names, which the library counts in octets."""


class SoftwareKeyMaker:
    """`KeyMaker` for keys in software. Keys are made by OpenSSL's generator; a `kid` is the RFC 7638 thumbprint."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy

    def access_token_key(self, *, now: int) -> SigningKey:
        """Make an ES256 key for access tokens."""
        return _signing_key(generate_private_key(SECP256R1()), "access_token", [], "generated", now)

    def development_credential_keys(self, *, common_name: str, issuer: str, now: int) -> tuple[SigningKey, SigningKey]:
        """Make a development CA and a credential key certified by it, both clearly marked; (ca, credential)."""
        ca_key, leaf_key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
        ca_name = _name("Vestibule development CA (not for production)", common_name)
        ca = self._certificate(ca_name, ca_key, issuer=ca_name, issuer_key=ca_key, is_ca=True, now=now)
        leaf_name = _name(common_name, "Vestibule development certificate (not for production)")
        # SD-JWT VC §2.5 (VC-15): the certificate names the `iss` of the credentials it stands for.
        named = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(issuer)])
        leaf = self._certificate(
            leaf_name, leaf_key, issuer=ca_name, issuer_key=ca_key, is_ca=False, now=now, names=named
        )
        return (
            _signing_key(ca_key, "development_ca", [ca], "development", now),
            _signing_key(leaf_key, "credential", [leaf], "development", now),
        )

    def import_credential_key(self, *, private_key_pem: bytes, chain_pem: bytes, now: int) -> SigningKey:
        """Read a PEM key and chain. Raises `Refusal` with what is wrong with them."""
        key = _read_key(private_key_pem)
        chain = _read_chain(chain_pem)
        _check_chain(chain, key, now=now)
        return _signing_key(key, "credential", chain, "imported", now)

    def _certificate(
        self,
        subject: x509.Name,
        key: EllipticCurvePrivateKey,
        *,
        issuer: x509.Name,
        issuer_key: EllipticCurvePrivateKey,
        is_ca: bool,
        now: int,
        names: x509.SubjectAlternativeName | None = None,
    ) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=not is_ca,
            key_cert_sign=is_ca,
            crl_sign=is_ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            # RFC 5280 §4.1.2.2: positive, at most 20 octets.
            .serial_number(int.from_bytes(self._entropy.octets(16)) + 1)
            .not_valid_before(_moment(now - _BACKDATED))
            .not_valid_after(_moment(now + (_CA_LIFE if is_ca else _LEAF_LIFE)))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(issuer_key, SHA256())


def _signing_key(
    key: EllipticCurvePrivateKey, purpose: KeyPurpose, chain: list[x509.Certificate], origin: KeyOrigin, now: int
) -> SigningKey:
    public_jwk = export_public_jwk(key.public_key())
    return SigningKey(
        key_id=thumbprint(public_jwk),
        purpose=purpose,
        algorithm="ES256",
        public_jwk=public_jwk,
        private_key=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        certificate_chain=[certificate.public_bytes(Encoding.DER) for certificate in chain],
        origin=origin,
        created_at=now,
    )


def _name(common_name: str, organization: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, _bounded(common_name)),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _bounded(organization)),
        ]
    )


def _bounded(name: str) -> str:
    return name.encode()[:_NAME_LENGTH].decode(errors="ignore")


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _read_key(pem: bytes) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _refusal("The private key is not an unencrypted PEM private key.") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise _refusal("The private key is not a P-256 key, which ES256 needs.")
    return key


def _read_chain(pem: bytes) -> list[x509.Certificate]:
    try:
        chain = read_pem(pem)
    except Malformed:
        raise _refusal("The chain is not a list of PEM certificates.") from None
    if pem.count(b"-----BEGIN ") != len(chain):
        raise _refusal("The chain holds something else than certificates.")
    return chain


def _check_chain(chain: list[x509.Certificate], key: EllipticCurvePrivateKey, *, now: int) -> None:
    leaf, *issuers = chain
    if leaf.public_key() != key.public_key():
        raise _refusal("The first certificate of the chain is not one for this private key.")
    if leaf.subject == leaf.issuer:
        # HAIP 1.0 §6.1.1: the signing certificate must not be self-signed.
        raise _refusal("The credential certificate is self-signed; give one issued by a certification authority.")
    # HAIP 1.0 §6.1.1: the trust anchor is not in x5c. It is not dropped silently: the file says something else
    # than what would be published.
    if any(certificate.subject == certificate.issuer for certificate in issuers):
        raise _refusal("The chain includes its self-signed trust anchor; give the chain without it.")
    for certificate, issuer in zip(chain, issuers, strict=False):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise _refusal("The chain is not in order: each certificate must be issued by the next.") from None
    for certificate in chain:
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not start <= _moment(now) < end:
            raise _refusal("A certificate of the chain is expired or not valid yet.")
    if _is_ca(leaf):
        raise _refusal("The credential certificate is one of a certification authority.")
    if not all(_is_ca(issuer) for issuer in issuers):
        raise _refusal("A certificate in the chain issued another one but is not of a certification authority.")
    if not _may_sign(leaf):
        raise _refusal("The credential certificate may not be used for digital signatures.")


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return True


def _refusal(public: str) -> Refusal:
    return Refusal("invalid_key", public)
