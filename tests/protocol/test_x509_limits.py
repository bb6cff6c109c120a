"""Chains of odd strength, size and shape, and what the authorities of a chain may certify at all."""

from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from app.protocol.strict_json import Malformed
from app.protocol.x509 import authority_key_ids, encode_x5c, read_x5c, verify_chain
from tests.http.forgery import canary
from tests.protocol.certificates import NOW, der
from tests.protocol.jwts import KEY, OTHER_KEY, read_vector
from tests.support.presented import PID_CA, Authority

RSA_KEY = rsa.generate_private_key(65537, 2048)
DNS = [x509.DNSName("pid.example")]
URI = [x509.UniformResourceIdentifier("https://pid.example/issuer")]
FRANCE = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")]))
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def verify(chain: Sequence[x509.Certificate], anchor: Authority = PID_CA) -> None:
    """Read a chain from its header and validate it."""
    verify_chain(read_x5c(encode_x5c(der(*chain))), anchors=[anchor.certificate], now=NOW)


def below(authority: Authority, names: Sequence[x509.GeneralName] = DNS) -> list[x509.Certificate]:
    """A leaf with these names, and the authority that certified it."""
    return [authority.certify("Leaf", KEY, names=names), authority.certificate]


def permitted(*names: x509.GeneralName) -> x509.NameConstraints:
    return x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None)


def excluded(*names: x509.GeneralName) -> x509.NameConstraints:
    return x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=names)


@pytest.mark.rule("X-03", "I-06")
@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.parametrize(
    ("constraints", "names", "right"),
    [
        (permitted(x509.DNSName("pid.example")), DNS, True),
        (permitted(x509.DNSName("example")), DNS, True),
        (permitted(x509.DNSName("other.example")), DNS, False),
        (excluded(x509.DNSName("pid.example")), DNS, False),
        (excluded(x509.DNSName("example")), DNS, False),
        (excluded(x509.DNSName("other.example")), DNS, True),
        (permitted(x509.DNSName("pid.example")), [*DNS, x509.DNSName("other.example")], False),
        # Constraints of kinds that the path validation does not know are not passed over.
        (permitted(x509.UniformResourceIdentifier("other.example")), URI, False),
        (permitted(FRANCE), DNS, False),
        (excluded(FRANCE), DNS, False),
    ],
)
def test_name_constraints(
    constraints: x509.NameConstraints, names: list[x509.GeneralName], right: bool, critical: bool
) -> None:
    given: dict[str, Any] = {"extra": constraints} if critical else {"plain": [constraints]}
    chain = below(PID_CA.intermediate("Sub", OTHER_KEY, **given), names)
    if right:
        verify(chain)
    else:
        with pytest.raises(Malformed, match="lead to"):
            verify(chain)


@pytest.mark.rule("X-03", "I-06")
def test_critical_extensions_are_understood_all_along_the_path() -> None:
    with pytest.raises(Malformed, match="lead to"):
        verify(below(PID_CA.intermediate("Sub", OTHER_KEY, extra=UNKNOWN)))
    anchor = Authority.named("Root", OTHER_KEY, extra=UNKNOWN)
    with pytest.raises(Malformed, match="lead to"):
        verify([anchor.certify("Leaf", KEY)], anchor)


@pytest.mark.rule("X-03")
@pytest.mark.parametrize("bent", [{"ends": NOW - 1}, {"starts": NOW + 1}, {"key_usage": "digital_signature"}])
def test_an_anchor_is_a_valid_authority(bent: dict[str, Any]) -> None:
    verify([Authority.named("Root", OTHER_KEY).certify("Leaf", KEY)], Authority.named("Root", OTHER_KEY))
    anchor = Authority.named("Root", OTHER_KEY, **bent)
    with pytest.raises(Malformed, match="lead to"):
        verify([anchor.certify("Leaf", KEY)], anchor)


# How strong


@pytest.mark.rule("X-05")
@pytest.mark.parametrize(
    ("key", "right"),
    [
        (OTHER_KEY, True),
        (ec.derive_private_key(7, ec.SECP384R1()), True),
        (RSA_KEY, True),
        (rsa.generate_private_key(65537, 1024), False),  # noqa: S505  is refused
        (ec.derive_private_key(7, ec.SECP224R1()), False),
        (ec.derive_private_key(7, ec.SECP256K1()), False),
    ],
)
def test_keys_of_authorities(key: Any, right: bool) -> None:
    intermediate, anchor = PID_CA.intermediate("Sub", key), Authority.named("Root", key)
    for chain, trusted in ((below(intermediate), PID_CA), ([anchor.certify("Leaf", KEY)], anchor)):
        if right:
            verify(chain, trusted)
        else:
            with pytest.raises(Malformed, match="lead to"):
                verify(chain, trusted)


def signed_with(name: str, certificate: x509.Certificate) -> x509.Certificate:
    """A certificate signed again by `RSA_KEY` with another hash: the last octet of the algorithm's identifier tells."""
    with_sha256, numbers = bytes.fromhex("2a864886f70d01010b"), {"md5": 4, "sha1": 5, "sha256": 11}
    identifier = with_sha256[:-1] + bytes([numbers[name]])
    tbs = certificate.tbs_certificate_bytes.replace(with_sha256, identifier)
    algorithm = {"md5": hashes.MD5(), "sha1": hashes.SHA1(), "sha256": hashes.SHA256()}[name]  # noqa: S303  is refused
    octets = der(certificate)[0].replace(with_sha256, identifier)[: -len(certificate.signature)]
    octets = octets.replace(certificate.tbs_certificate_bytes.replace(with_sha256, identifier), tbs)
    return x509.load_der_x509_certificate(octets + RSA_KEY.sign(tbs, padding.PKCS1v15(), algorithm))


@pytest.mark.rule("X-05")
@pytest.mark.parametrize(("name", "right"), [("sha256", True), ("sha1", False), ("md5", False)])
def test_hashes_that_are_broken(name: str, right: bool) -> None:
    anchor = Authority.named("Root", RSA_KEY)
    leaf = signed_with(name, anchor.certify("Leaf", KEY))
    if right:
        verify([leaf], anchor)
    else:
        with pytest.raises(Malformed, match="lead to"):
            verify([leaf], anchor)


@pytest.mark.rule("X-05", "I-08")
def test_curves_go_by_their_names() -> None:
    explicit = x509.load_pem_x509_certificate(read_vector("x509/explicit-parameters/certificate.pem").encode())
    octets = der(explicit)[0]
    with pytest.raises(Malformed, match="another way"):
        read_x5c(encode_x5c([octets]))
    # CVE-2020-0601: the generator is the point of another's key.
    form = (Encoding.X962, PublicFormat.UncompressedPoint)
    generator = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_bytes(*form)
    assert generator in octets
    with pytest.raises(Malformed, match="not a certificate"):
        read_x5c(encode_x5c([octets.replace(generator, OTHER_KEY.public_key().public_bytes(*form))]))


# What is read of a chain besides


@pytest.mark.rule("DE-14")
def test_the_authorities_of_a_chain_are_those_its_certificates_name() -> None:
    sub = PID_CA.intermediate("Sub", OTHER_KEY)
    by_ca, by_sub = (
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()).key_identifier
        for authority in (PID_CA, sub)
    )
    assert authority_key_ids([PID_CA.certify("Leaf", KEY)]) == {by_ca}
    assert authority_key_ids(below(sub)) == {by_ca, by_sub}
    subject = x509.SubjectKeyIdentifier.from_public_key(KEY.public_key())
    nameless = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(PID_CA.certificate.subject)], 1)
    for plain in ([], [subject], [nameless]):
        assert authority_key_ids([PID_CA.certify("Leaf", KEY, plain=plain)]) == frozenset()


@pytest.mark.rule("X-07", "I-07")
def test_addresses_in_certificates_are_not_followed() -> None:
    sub = PID_CA.intermediate("Sub", OTHER_KEY)
    with canary() as (url, hits):
        address = x509.UniformResourceIdentifier(url)
        methods = (AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS)
        access = x509.AuthorityInformationAccess([x509.AccessDescription(method, address) for method in methods])
        points = x509.CRLDistributionPoints([x509.DistributionPoint([address], None, None, None)])
        statement = x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), [url])
        leaf = sub.certify("Leaf", KEY, plain=[access, points, x509.CertificatePolicies([statement])])
        verify([leaf, sub.certificate])
        with pytest.raises(Malformed, match="lead to"):
            verify([leaf])
    assert not hits
