"""Certificates for tests."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NOW = 1_800_000_000
CA_KEY = ec.derive_private_key(0xCA, ec.SECP256R1())
LEAF_KEY = ec.derive_private_key(0x1EAF, ec.SECP256R1())
SUB_KEY = ec.derive_private_key(0x5B, ec.SECP256R1())

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def certificate(
    subject: str | x509.Name,
    key: PrivateKey,
    *,
    issuer: str | x509.Name,
    issuer_key: PrivateKey,
    ca: bool = False,
    path_length: int | None = None,
    starts: int = NOW - 86_400,
    ends: int = NOW + 86_400,
    key_usage: str | None = None,
    extra: x509.ExtensionType | None = None,
    plain: Sequence[x509.ExtensionType] = (),
) -> x509.Certificate:
    """Make a certificate; `key_usage` names the one usage it has, `extra` is a critical extension, `plain` are not."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(1 + sum(_name(subject).public_bytes()))
        .not_valid_before(datetime.fromtimestamp(starts, UTC))
        .not_valid_after(datetime.fromtimestamp(ends, UTC))
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        key_usage = key_usage or "key_cert_sign"
    if key_usage is not None:
        builder = builder.add_extension(_usage(key_usage), critical=True)
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    for extension in plain:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def der(*certificates: x509.Certificate) -> list[bytes]:
    return [certificate.public_bytes(serialization.Encoding.DER) for certificate in certificates]


def pem(*octets: bytes) -> str:
    """Return certificates in DER as one PEM text."""
    return "".join(map(ssl.DER_cert_to_PEM_cert, octets))


def _name(name: str | x509.Name) -> x509.Name:
    """Return a name, from its common name if it is a text."""
    if isinstance(name, x509.Name):
        return name
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(name: str) -> x509.KeyUsage:
    usages = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**(usages | {name: True}))


CA = certificate("CA", CA_KEY, issuer="CA", issuer_key=CA_KEY, ca=True, ends=NOW + 99 * 86_400)
SUB = certificate("Sub", SUB_KEY, issuer="CA", issuer_key=CA_KEY, ca=True, path_length=0)
LEAF = certificate("Leaf", LEAF_KEY, issuer="CA", issuer_key=CA_KEY, key_usage="digital_signature")
SUB_LEAF = certificate("Leaf", LEAF_KEY, issuer="Sub", issuer_key=SUB_KEY)
