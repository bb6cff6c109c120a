"""Keys made, certified, imported and used."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

from app.adapters.key_maker import SoftwareKeyMaker
from app.adapters.keystore import StoredKeyRing
from app.protocol import jose
from app.protocol.jwk import import_public_jwk, thumbprint
from app.protocol.refusal import Refusal
from app.protocol.x509 import verify_chain
from tests.support.fakes import CountedEntropy, FixedClock

NOW = FixedClock().now()
MAKER = SoftwareKeyMaker(CountedEntropy())
DAY = 86_400
YEAR_2050 = 2_524_608_000


def ring(*keys: Any) -> StoredKeyRing:
    return StoredKeyRing(keys, nonce_key=b"n" * 32)


async def test_what_a_made_key_signs_verifies_with_its_published_key() -> None:
    key = MAKER.access_token_key(now=NOW)
    keys = ring(key)
    signed = jose.signing_input({"alg": "ES256"}, {"iss": "https://issuer.example"})
    token = jose.compact(signed, await keys.access_tokens.sign(signed))
    published = keys.public_jwks[0]
    public_key = import_public_jwk(published, algorithm="ES256")
    jose.verify_jwt(jose.parse_jwt(token), public_key, algorithms=["ES256"])
    assert published.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert published["kid"] == key.key_id == thumbprint(published)
    assert keys.access_token_keys[key.key_id] == public_key


def test_the_newest_key_signs_the_others_verify_until_retired() -> None:
    old, new = MAKER.access_token_key(now=NOW), MAKER.access_token_key(now=NOW + 1)
    assert ring(old, new).access_tokens.key_id == new.key_id
    assert ring(old, new).access_token_keys.keys() == {old.key_id, new.key_id}
    retired = msgspec.structs.replace(old, retired_at=NOW + 2)
    assert ring(retired, new).access_token_keys.keys() == {new.key_id}
    assert [jwk["kid"] for jwk in ring(retired, new).public_jwks] == [new.key_id]
    with pytest.raises(LookupError):
        _ = ring(retired).access_tokens


def test_the_development_certificate_leads_to_its_marked_ca() -> None:
    ca_key, key = MAKER.development_credential_keys(
        common_name="A provider with a very long name " * 5, issuer="https://host.example/pid", now=NOW
    )
    (anchor,), (leaf,) = (
        [x509.load_der_x509_certificate(der) for der in one.certificate_chain] for one in (ca_key, key)
    )
    assert ring(ca_key, key).credentials.certificate_chain == key.certificate_chain
    assert (ca_key.purpose, key.purpose, key.origin) == ("development_ca", "credential", "development")
    for certificate in (anchor, leaf):
        assert "not for production" in certificate.subject.rfc4514_string()
        # Credential times are rounded down to the day.
        assert certificate.not_valid_before_utc == datetime.fromtimestamp(NOW, UTC) - timedelta(days=2)
    for now in (NOW - DAY, NOW, NOW + 800 * DAY):
        verify_chain([leaf], anchors=[anchor], now=now)
    private_key = load_der_private_key(key.private_key, password=None)
    assert private_key.public_key() == leaf.public_key()
    # Who trusts the CA, and not a tenant by name, finds the credential's `iss` in the certificate.
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["https://host.example/pid"]


class Made:
    """A certificate with its key."""

    def __init__(
        self,
        name: str,
        issuer: "Made | None" = None,
        *,
        ca: bool = False,
        usage: bool = True,
        key: Any = None,
        starts: int = NOW - DAY,
    ) -> None:
        self.key: Any = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuing = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuing.name)
            .public_key(self.key.public_key())
            .serial_number(7)
            .not_valid_before(datetime.fromtimestamp(starts, UTC))
            .not_valid_after(datetime.fromtimestamp(starts + 10 * DAY, UTC))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        key_usage = dict.fromkeys(
            ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"], False
        )
        key_usage |= {"encipher_only": False, "decipher_only": False, "digital_signature": usage, "key_cert_sign": ca}
        self.certificate = builder.add_extension(x509.KeyUsage(**key_usage), critical=True).sign(issuing.key, SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        pem: bytes = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem


def bent(pem: bytes, octets: bytes, replaced: bytes) -> bytes:
    """Return a PEM block with octets of its content replaced."""
    first, *body, last = pem.splitlines()
    content = base64.b64decode(b"".join(body))
    assert octets in content
    return b"\n".join([first, base64.b64encode(content.replace(octets, replaced)), last, b""])


ROOT = Made("root", ca=True)
MIDDLE = Made("middle", ROOT, ca=True)
LEAF = Made("leaf", MIDDLE)
OTHER = Made("other", ROOT)


def test_a_good_key_and_chain_are_imported_whole() -> None:
    key = MAKER.import_credential_key(private_key_pem=LEAF.key_pem, chain_pem=LEAF.pem + MIDDLE.pem, now=NOW)
    chain = [one.certificate.public_bytes(Encoding.DER) for one in (LEAF, MIDDLE)]
    assert (key.purpose, key.origin, key.certificate_chain) == ("credential", "imported", chain)
    assert ring(key).credentials.public_key == LEAF.key.public_key()


P384 = Made("p384", ROOT, key=ec.generate_private_key(ec.SECP384R1()))
RSA = Made("rsa", ROOT, key=rsa.generate_private_key(65537, 2048))
NO_USE = Made("no use", ROOT, usage=False)
CA_LEAF = Made("ca leaf", ROOT, ca=True)
NOT_A_CA = Made("issued by a leaf", OTHER)
EXPIRED = Made("expired", ROOT, starts=NOW - 20 * DAY)
EARLY = Made("not yet", ROOT, starts=NOW + DAY)
P256_OCTETS, NO_CURVE_OCTETS = (bytes.fromhex(f"2a8648ce3d0301{number}") for number in ("07", "7f"))
UNKNOWN_CURVE = bent(LEAF.key_pem, P256_OCTETS, NO_CURVE_OCTETS)
UNREADABLE = [
    bent(LEAF.pem, b"\x0c\x04leaf", b"\x03\x04leaf"),  # a common name that is a bit string
    bent(LEAF.pem, b"\x0c\x06middle", b"\x03\x06middle"),
    bent(LEAF.pem, P256_OCTETS, NO_CURVE_OCTETS),
    bent(LEAF.pem, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03"),  # version 4
    bent(Made("leaf", MIDDLE, key=LEAF.key, starts=YEAR_2050).pem, b"\x18\x0f2050", b"\x18\x0f0000"),
]
"""Certificates that the library reads in part; the rest it would refuse later, each in its own way."""
ENCRYPTED = LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))


@pytest.mark.rule("IS-22")
@pytest.mark.parametrize(
    ("private_key_pem", "chain_pem", "says"),
    [
        (b"nonsense", LEAF.pem, "not an unencrypted PEM private key"),
        (UNKNOWN_CURVE, LEAF.pem, "not an unencrypted PEM private key"),
        (ENCRYPTED, LEAF.pem, "not an unencrypted PEM private key"),
        (P384.key_pem, P384.pem, "not a P-256 key"),
        (RSA.key_pem, RSA.pem, "not a P-256 key"),
        (LEAF.key_pem, b"nonsense", "not a list of PEM certificates"),
        *[(LEAF.key_pem, pem + MIDDLE.pem, "not a list of PEM certificates") for pem in UNREADABLE],
        (LEAF.key_pem, LEAF.pem + LEAF.key_pem, "something else than certificates"),
        (LEAF.key_pem, OTHER.pem, "not one for this private key"),
        (LEAF.key_pem, MIDDLE.pem + LEAF.pem, "not one for this private key"),
        (ROOT.key_pem, ROOT.pem, "self-signed"),
        (LEAF.key_pem, LEAF.pem + MIDDLE.pem + ROOT.pem, "trust anchor"),
        (LEAF.key_pem, LEAF.pem + OTHER.pem, "not in order"),
        (EXPIRED.key_pem, EXPIRED.pem, "expired or not valid yet"),
        (EARLY.key_pem, EARLY.pem, "expired or not valid yet"),
        (CA_LEAF.key_pem, CA_LEAF.pem, "one of a certification authority"),
        (NOT_A_CA.key_pem, NOT_A_CA.pem + OTHER.pem, "not in order|not of a certification authority"),
        (NO_USE.key_pem, NO_USE.pem, "may not be used for digital signatures"),
    ],
)
def test_what_is_wrong_with_an_import_is_said(private_key_pem: bytes, chain_pem: bytes, says: str) -> None:
    with pytest.raises(Refusal) as refused:
        MAKER.import_credential_key(private_key_pem=private_key_pem, chain_pem=chain_pem, now=NOW)
    assert refused.value.code == "invalid_key"
    assert any(part in refused.value.public for part in says.split("|"))
