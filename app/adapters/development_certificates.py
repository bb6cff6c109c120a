"""A certification authority and server certificates for development: real TLS, trusted by nobody else."""

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.ports import Clock
from app.protocol.refusal import Refusal
from app.protocol.x509 import read_pem

_CA_NAME: Final = "Vestibule DEVELOPMENT CA - trust on this machine only"
_AGE: Final = timedelta(days=2)
"""Certificates begin this long ago, like the rounded times of credentials (decisions: "Development certificates")."""
_CA_LIFE: Final = timedelta(days=730)
_SERVER_LIFE: Final = timedelta(days=90)


def make_development_certificate(folder: Path, hosts: list[str], clock: Clock, *, force: bool) -> list[Path]:
    """Write `ca.pem`, `server.pem` and their keys into `folder` and return the files written.

    A CA that is already there signs again, so that what trusts it goes on trusting. Raises `Refusal` where a server
    certificate is there already and `force` is not given.
    """
    now = datetime.fromtimestamp(clock.now(), UTC)
    ca_file, ca_key_file = folder / "ca.pem", folder / "ca.key"
    server_file, server_key_file = folder / "server.pem", folder / "server.key"
    if not force:
        for file in (server_file, server_key_file):
            if file.exists():
                raise _refusal(f"{file} is there already: give --force to replace it")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    written = []
    if ca_file.exists() and ca_key_file.exists():
        ca, ca_key = _read_ca(ca_file, ca_key_file, now)
    else:
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca = _certify_ca(ca_key, now)
        written += [_write(ca_key_file, _pem(ca_key), 0o600), _write(ca_file, _pem(ca), 0o644)]
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certify_server(key, hosts, ca, ca_key, now)
    return [*written, _write(server_key_file, _pem(key), 0o600), _write(server_file, _pem(certificate), 0o644)]


def _certify_ca(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _CA_NAME)])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(name, name, key, now, _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _certify_server(
    key: ec.EllipticCurvePrivateKey,
    hosts: list[str],
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Vestibule DEVELOPMENT server")])
    public_key = ca_key.public_key()
    return (
        _builder(name, ca.subject, key, now, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _AGE)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _read_ca(file: Path, key_file: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        [ca] = read_pem(file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise _refusal(f"{file} and {key_file} cannot be read: remove them to make a new CA") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != ca.public_key():
        raise _refusal(f"{key_file} is not the key of {file}: remove both to make a new CA")
    if ca.not_valid_after_utc < now + _SERVER_LIFE:
        raise _refusal(f"{file} ends too soon: remove it and {key_file} to make a new CA")
    return ca, key


def _pem(item: ec.EllipticCurvePrivateKey | x509.Certificate) -> bytes:
    if isinstance(item, x509.Certificate):
        return item.public_bytes(serialization.Encoding.PEM)
    return item.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes, mode: int) -> Path:
    # A new file each time: one that is there would keep its own, perhaps wider, mode.
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)
    return file


def _refusal(reason: str) -> Refusal:
    return Refusal("development_certificate", "The development certificate was not made.", reason=reason)
