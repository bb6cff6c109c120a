"""Whose key signed it, by the trust that is for this issuer and never by what the credential suggests."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.document.presentation import CertifiedName, JwksTrust, ResolvedTenant, TenantTrust, X509Trust
from app.protocol.strict_json import Malformed
from app.protocol.trust import (
    CertifiedIssuers,
    IssuerKey,
    KnownIssuer,
    TrustedIssuers,
    find_issuer_key,
    trusted_issuers,
)
from app.protocol.x509 import encode_x5c
from tests.protocol.certificates import NOW, der
from tests.protocol.jwts import KEY, KEY_384, OTHER_KEY, b64, public_jwk
from tests.support.presented import ISS, OTHER_CA, PID_CA, Authority

SUBJECT = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example, Inc."),
        x509.NameAttribute(NameOID.COMMON_NAME, "pid.example"),
    ]
)
RFC4514 = "CN=pid.example,O=Example\\, Inc.,C=DE"


def leaf(
    *names: x509.GeneralName, subject: str | x509.Name = SUBJECT, authority: Authority = PID_CA
) -> x509.Certificate:
    return authority.certify(subject, KEY, names=names)


def find(
    certificate: x509.Certificate | None,
    *trusted: TrustedIssuers,
    iss: Any = None,
    header: Mapping[str, Any] | None = None,
) -> IssuerKey:
    """Find the key for a credential with this leaf and this `iss`."""
    chain = {} if certificate is None else {"x5c": encode_x5c(der(certificate))}
    payload = {} if iss is None else {"iss": iss}
    return find_issuer_key({"alg": "ES256", **chain, **(header or {})}, payload, trusted=trusted, now=NOW)


def refused(certificate: x509.Certificate | None, *trusted: TrustedIssuers, text: str, **credential: Any) -> None:
    with pytest.raises(Malformed, match=text):
        find(certificate, *trusted, **credential)


DNS, URI = x509.DNSName("pid.example"), x509.UniformResourceIdentifier(ISS)


@pytest.mark.rule("VC-15", "VC-06")
@pytest.mark.parametrize(
    ("certificate", "iss", "issuer"),
    [
        (leaf(), None, RFC4514),
        (leaf(DNS), None, RFC4514),
        (leaf(DNS), "https://pid.example", "https://pid.example"),
        (leaf(DNS), ISS, ISS),
        (leaf(DNS), "https://pid.example:8443/a/b", "https://pid.example:8443/a/b"),
        (leaf(URI), ISS, ISS),
        (leaf(x509.DNSName("other.example"), DNS, URI), ISS, ISS),
        (leaf(x509.UniformResourceIdentifier("urn:example:issuer")), "urn:example:issuer", "urn:example:issuer"),
    ],
)
def test_a_certificate_names_its_issuer(certificate: x509.Certificate, iss: str | None, issuer: str) -> None:
    found = find(certificate, PID_CA.trusted(), iss=iss)
    assert (found.issuer, found.key, found.chain) == (issuer, KEY.public_key(), (certificate,))


def odd_dns(name: str) -> x509.DNSName:
    return x509.DNSName._init_without_validation(name)


@pytest.mark.rule("VC-15", "I-09")
@pytest.mark.parametrize(
    ("certificate", "iss"),
    [
        pytest.param(leaf(), "https://pid.example", id="common name"),
        pytest.param(leaf(subject=ISS), ISS, id="common name is the iss"),
        pytest.param(leaf(x509.DNSName("other.example")), ISS, id="another host"),
        pytest.param(leaf(x509.DNSName("*.example")), "https://pid.example", id="wildcard"),
        pytest.param(leaf(x509.DNSName("*.example")), "https://*.example", id="wildcard to the letter"),
        pytest.param(leaf(DNS), "https://www.pid.example", id="subdomain"),
        pytest.param(leaf(DNS), "https://pid.example.evil.example", id="longer host"),
        pytest.param(leaf(DNS), "https://evil.example/pid.example", id="host in the path"),
        pytest.param(leaf(DNS), "https://pid.example@evil.example", id="host as user"),
        pytest.param(leaf(DNS), "https://evil.example@pid.example", id="user"),
        pytest.param(leaf(DNS), "https://pid.example?x", id="query"),
        pytest.param(leaf(DNS), "https://pid.example#x", id="fragment"),
        pytest.param(leaf(DNS), "http://pid.example", id="http"),
        pytest.param(leaf(DNS), "HTTPS://pid.example", id="case of the scheme"),
        pytest.param(leaf(DNS), "https://PID.example", id="case of the host"),
        pytest.param(leaf(DNS), "https://pid.example\n", id="newline"),
        pytest.param(leaf(DNS), "https://pid.example\x00.evil.example", id="NUL"),
        pytest.param(leaf(DNS), "pid.example", id="bare host"),
        pytest.param(leaf(odd_dns("pid.example\x00.evil.example")), "https://pid.example", id="NUL in the certificate"),
        pytest.param(leaf(x509.DNSName("xn--pd-4ja.example")), "https://p\u0131d.example", id="IDN"),
        pytest.param(leaf(x509.IPAddress(IPv4Address("192.0.2.1"))), "https://192.0.2.1", id="address"),
        pytest.param(leaf(x509.RFC822Name("x@pid.example")), "https://pid.example", id="e-mail"),
        pytest.param(leaf(x509.UniformResourceIdentifier(ISS + "/")), ISS, id="another URI"),
        pytest.param(leaf(x509.UniformResourceIdentifier("https://pid.example")), ISS, id="URI of the host"),
        pytest.param(leaf(DNS, URI), [ISS], id="array"),
        pytest.param(leaf(DNS, URI), 1, id="number"),
    ],
)
def test_an_iss_that_the_certificate_does_not_name(certificate: x509.Certificate, iss: Any) -> None:
    refused(certificate, PID_CA.trusted(), iss=iss, text="not that of the certificate")


@pytest.mark.rule("X-11", "I-04")
@pytest.mark.parametrize(
    "name",
    [CertifiedName(subject=RFC4514), CertifiedName(san_dns="pid.example"), CertifiedName(san_uri=ISS)],
)
def test_two_issuers_under_one_authority_are_told_apart(name: CertifiedName) -> None:
    trusted = PID_CA.trusted(CertifiedName(subject="CN=nobody"), name)
    assert find(leaf(DNS, URI), trusted).key == KEY.public_key()
    sibling = leaf(x509.DNSName("sibling.example"), subject="pid.example")
    find(sibling, PID_CA.trusted())
    refused(sibling, trusted, text="not of a trusted issuer")


@pytest.mark.rule("I-09", "X-11")
@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        (leaf(subject="pid.example"), CertifiedName(san_dns="pid.example")),
        (leaf(x509.DNSName("*.example")), CertifiedName(san_dns="pid.example")),
        (leaf(x509.DNSName("www.pid.example")), CertifiedName(san_dns="pid.example")),
        (leaf(x509.DNSName("PID.example")), CertifiedName(san_dns="pid.example")),
        (leaf(odd_dns("pid.example\x00")), CertifiedName(san_dns="pid.example")),
        (leaf(DNS), CertifiedName(san_dns="*.example")),
        (leaf(DNS), CertifiedName(san_uri="https://pid.example")),
        (leaf(URI), CertifiedName(san_dns="pid.example")),
        (leaf(x509.UniformResourceIdentifier(ISS + "?x")), CertifiedName(san_uri=ISS)),
        (leaf(), CertifiedName(subject="CN=pid.example")),
        (leaf(), CertifiedName(subject="C=DE,O=Example\\, Inc.,CN=pid.example")),
        (leaf(), CertifiedName(subject=RFC4514.lower())),
        (leaf(subject="x,CN=pid.example"), CertifiedName(subject="CN=pid.example")),
    ],
)
def test_names_are_compared_whole(certificate: x509.Certificate, name: CertifiedName) -> None:
    refused(certificate, PID_CA.trusted(name), text="not of a trusted issuer")


@pytest.mark.rule("SD-05", "E-07", "I-11")
def test_only_trusted_authorities_certify() -> None:
    look_alike = Authority.named("PID CA", OTHER_KEY)
    for authority in (OTHER_CA, look_alike):
        refused(leaf(DNS, authority=authority), PID_CA.trusted(), iss=ISS, text="lead to a trust anchor")
        refused(leaf(DNS, authority=authority), iss=ISS, text="not trusted")


def test_each_trust_is_tried() -> None:
    found = find(leaf(DNS, URI), OTHER_CA.trusted(), PID_CA.trusted(), iss=ISS)
    assert found.issuer == ISS
    refused(leaf(DNS), OTHER_CA.trusted(), PID_CA.trusted(CertifiedName(san_uri=ISS)), text="anchor; .*trusted issuer")


@pytest.mark.rule("X-09", "I-12")
def test_a_thumbprint_is_the_leafs() -> None:
    certificate = leaf(DNS)
    right = b64(certificate.fingerprint(hashes.SHA256()))
    find(certificate, PID_CA.trusted(), header={"x5t#S256": right})
    for wrong in (b64(leaf(URI).fingerprint(hashes.SHA256())), right + "=", right[:-1], "", None, [right]):
        refused(certificate, PID_CA.trusted(), header={"x5t#S256": wrong}, text="x5t#S256")


@pytest.mark.rule("VC-06", "VC-16")
@pytest.mark.parametrize("x5c", [None, [], "", {}])
def test_without_a_chain_there_is_no_certified_issuer(x5c: Any) -> None:
    refused(None, PID_CA.trusted(), header={"x5c": x5c, "kid": "1", "jwk": public_jwk(KEY)}, text="x5c")
    refused(None, PID_CA.trusted(), text="x5c")


# An issuer that is named


OWN = PID_CA.trusted(issuer=ISS)


@pytest.mark.rule("VC-07", "VC-15", "AG-19")
def test_a_named_issuer_is_judged_by_the_trust_that_names_it() -> None:
    assert find(leaf(), OWN, iss=ISS).issuer == find(leaf(), OWN).issuer == ISS
    refused(leaf(DNS), OWN, iss="https://pid.example", text="not that of the certificate")
    # The other authority's certificate names the issuer as well as one can.
    impostor = leaf(DNS, URI, authority=OTHER_CA)
    assert find(impostor, OTHER_CA.trusted(), iss=ISS).issuer == ISS
    refused(impostor, OTHER_CA.trusted(), OWN, iss=ISS, text="lead to a trust anchor")


KNOWN = KnownIssuer(issuer=ISS, keys=[public_jwk(KEY)])


def test_a_known_issuer_has_its_keys() -> None:
    assert find(None, KNOWN, iss=ISS) == IssuerKey(key=KEY.public_key(), issuer=ISS, chain=())
    for iss in (None, ISS + "/", ISS.upper(), [ISS], 1):
        refused(None, KNOWN, iss=iss, text="not trusted")


@pytest.mark.rule("VC-07", "AG-19")
def test_a_known_issuer_is_not_certified() -> None:
    certificate = leaf(DNS, URI)
    assert find(certificate, PID_CA.trusted(), iss=ISS).issuer == ISS
    for trusted in ([KNOWN], [PID_CA.trusted(), KNOWN], [OWN, KNOWN]):
        refused(certificate, *trusted, iss=ISS, text="whose keys are known")
        refused(None, *trusted, iss=ISS, header={"x5t#S256": "x"}, text="whose keys are known")
        assert find(None, *trusted, iss=ISS).key == KEY.public_key()


TWO = KnownIssuer(issuer=ISS, keys=[{**public_jwk(KEY), "kid": "a"}, {**public_jwk(OTHER_KEY), "kid": "b"}])


@pytest.mark.rule("VC-11", "E-05")
@pytest.mark.parametrize(
    ("known", "kid", "key"),
    [
        (TWO, "a", KEY),
        (TWO, "b", OTHER_KEY),
        (KNOWN, "anything", KEY),
        *(
            (TWO, kid, None)
            for kid in ("c", "A", "", "' OR 1=1 --", "../a", "a\r\n", ["a"], {"$ne": ""}, 1, None, "a" * 65_536)
        ),
    ],
)
def test_kid_chooses_among_the_issuers_keys(
    known: KnownIssuer, kid: Any, key: ec.EllipticCurvePrivateKey | None
) -> None:
    if key is not None:
        assert find(None, known, iss=ISS, header={"kid": kid}).key == key.public_key()
    else:
        refused(None, known, iss=ISS, header={"kid": kid}, text="no one key")


@pytest.mark.rule("VC-11")
@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (public_jwk(KEY), "ES384"),
        (public_jwk(KEY_384), "ES256"),
        ({**public_jwk(KEY), "alg": "ES384"}, "ES256"),
        ({**public_jwk(KEY), "use": "enc"}, "ES256"),
        (public_jwk(KEY), "HS256"),
        ({"kty": "oct", "k": "AA"}, "HS256"),
    ],
)
def test_the_algorithm_is_the_keys(key: dict[str, Any], alg: str) -> None:
    refused(None, KnownIssuer(issuer=ISS, keys=[key]), iss=ISS, header={"alg": alg}, text="JW[KS]")


# From a document


def test_what_a_documents_trust_stands_for() -> None:
    names = [CertifiedName(san_dns="pid.example")]
    assert trusted_issuers(X509Trust(anchors=[PID_CA.pem, OTHER_CA.pem], issuers=names)) == CertifiedIssuers(
        anchors=(PID_CA.certificate, OTHER_CA.certificate), names=names, issuer=None
    )
    assert trusted_issuers(JwksTrust(issuer=ISS, keys=[public_jwk(KEY)])) == KNOWN
    resolved = ResolvedTenant(issuer=ISS, anchors=[PID_CA.pem])
    assert trusted_issuers(TenantTrust(tenant="pid-provider", resolved=resolved)) == CertifiedIssuers(
        anchors=(PID_CA.certificate,), names=None, issuer=ISS
    )


@pytest.mark.parametrize("chain", [[leaf(DNS)], [PID_CA.certificate]])
def test_a_tenant_that_was_not_resolved_trusts_nobody(chain: Sequence[x509.Certificate]) -> None:
    unresolved = trusted_issuers(TenantTrust(tenant="pid-provider"))
    refused(chain[0], unresolved, text="no trust anchor|self-signed")


def test_an_anchor_that_is_none_is_not_passed_over() -> None:
    with pytest.raises(Malformed, match="PEM"):
        trusted_issuers(X509Trust(anchors=["no certificate"]))
