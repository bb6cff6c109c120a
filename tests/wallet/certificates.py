"""An issuer of credentials for the wallet's tests: a CA, a certified key, and credentials signed with it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from app.formats import sd_jwt_vc
from app.protocol import base64url, jose
from tests.wallet.fakes import ISSUER, NOW, octets

VCT = "urn:eudi:pid:1"


class PlacedClaim(NamedTuple):
    path: tuple[str, ...]
    value: Any
    disclosure: Literal["selective", "always"] = "selective"


CLAIMS = [PlacedClaim(("given_name",), "Erika"), PlacedClaim(("address", "locality"), "KÖLN")]


class TestIssuer:
    """A CA and a credential key it certified."""

    __test__ = False

    def __init__(self) -> None:
        ca_key, self._key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.ca = _certificate("CA", ca_key.public_key(), "CA", ca_key, ca=True)
        self.certificate = _certificate("issuer", self._key.public_key(), "CA", ca_key, ca=False)

    @property
    def ca_pem(self) -> bytes:
        return self.ca.public_bytes(Encoding.PEM)

    def issue(
        self,
        holder_jwk: Mapping[str, Any],
        *,
        claims: Sequence[PlacedClaim] = CLAIMS,
        vct: str = VCT,
        issued_at: int = NOW,
    ) -> str:
        unsigned = sd_jwt_vc.build(
            claims,
            vct=vct,
            issuer=ISSUER,
            issued_at=issued_at,
            expires_at=issued_at + 86_400,
            holder_jwk=holder_jwk,
            certificate_chain=[self.certificate.public_bytes(Encoding.DER)],
            algorithm="ES256",
            salt=lambda: base64url.encode(octets(16)),
        )
        der = self._key.sign(unsigned.signing_input, ec.ECDSA(hashes.SHA256()))
        return unsigned.complete(jose.raw_signature(der))


def _certificate(
    subject: str, key: ec.EllipticCurvePublicKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(days=2000)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=20_000))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
