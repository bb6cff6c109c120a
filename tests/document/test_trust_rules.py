"""Whom a tenant trusts: certificates of authorities, public keys, and never a private one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from app.protocol.jwk import export_public_jwk, import_public_jwk
from app.protocol.strict_json import Malformed
from tests.document.presenting import Problem, found_in

KEY = ec.generate_private_key(ec.SECP256R1())
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
ERROR, WARNING, NOTE = "error", "warning", "note"


EDI_PARTY_NAME = x509.UnrecognizedExtension(
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3008a506a10480026162")
)
"""An alternative name of a kind that cannot be read."""
BIT_STRING_NAME = x509.UnrecognizedExtension(
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3010a40e300c310a30080603550403030178")
)
"""A directory name whose common name is no text."""


def certificate(
    *,
    key: Any = KEY,
    ca: bool | None = True,
    signs_certificates: bool | None = None,
    named: x509.ExtensionType | None = None,
) -> str:
    """Return a self-signed certificate in PEM; None leaves an extension out."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")])
    start = datetime(2030, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if signs_certificates is not None:
        others = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
        )
        usage = x509.KeyUsage(
            **others,
            digital_signature=True,
            key_cert_sign=signs_certificates,
            crl_sign=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    if named is not None:
        builder = builder.add_extension(named, critical=False)
    signed = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def of(entry: dict[str, Any]) -> list[Problem]:
    """Return what is wrong with the trust of the base."""
    return found_in(trust={"state": entry})


def authorities(*anchors: str) -> list[Problem]:
    return of({"type": "x509", "anchors": list(anchors), "issuers": [{"san_dns": "pid.example"}]})


NO_CERTIFICATE = "This is not one certificate in PEM that can be read."
NO_AUTHORITY = "This is not the certificate of a certification authority."
WEAK = "The authority's key is too weak, or of a kind that is not accepted."


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (certificate, None),
        (lambda: certificate(signs_certificates=True), None),
        (lambda: f"\n  {certificate()}\n", None),
        (lambda: certificate(key=ec.generate_private_key(ec.SECP384R1())), None),
        (lambda: certificate(key=rsa.generate_private_key(65537, 2048)), None),
        (lambda: certificate(ca=False), NO_AUTHORITY),
        (lambda: certificate(ca=None), NO_AUTHORITY),
        (lambda: certificate(signs_certificates=False), NO_AUTHORITY),
        (lambda: certificate(key=rsa.generate_private_key(65537, 1024)), WEAK),  # noqa: S505  weak on purpose
        (lambda: certificate(key=ec.generate_private_key(ec.SECP256K1())), WEAK),
        (lambda: certificate(key=ed25519.Ed25519PrivateKey.generate()), WEAK),
        (lambda: certificate() * 2, NO_CERTIFICATE),
        (lambda: certificate() + PRIVATE, NO_CERTIFICATE),
        (lambda: PRIVATE, NO_CERTIFICATE),
        (lambda: certificate().replace("A", "B"), NO_CERTIFICATE),
        (lambda: certificate(named=EDI_PARTY_NAME), NO_CERTIFICATE),
        (lambda: certificate(named=BIT_STRING_NAME), NO_CERTIFICATE),
        (lambda: "pid-ca.pem", NO_CERTIFICATE),
    ],
)
def test_an_anchor_is_one_certificate_of_an_authority(make: Callable[[], str], message: str | None) -> None:
    expected = [] if message is None else [(ERROR, "trust.state.anchors[1]", message)]
    assert authorities(certificate(), make()) == expected


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ({"subject": "CN=PID Issuer,O=Example,C=DE"}, None),
        ({"san_dns": "pid.example"}, None),
        ({"san_uri": "https://pid.example/issuer"}, None),
        ({}, ("", "An issuer is named in exactly one way.")),
        (
            {"san_dns": "pid.example", "san_uri": "https://pid.example"},
            ("", "An issuer is named in exactly one way."),
        ),
        ({"subject": "CN = PID Issuer, C=DE"}, (".subject", "This is not how RFC 4514 spells a subject.")),
        ({"subject": "PID Issuer"}, (".subject", "This is not how RFC 4514 spells a subject.")),
        ({"san_dns": "PID.example"}, (".san_dns", "This is no DNS name.")),
        ({"san_dns": "*.example"}, (".san_dns", "This is no DNS name.")),
        ({"san_dns": "https://pid.example"}, (".san_dns", "This is no DNS name.")),
        ({"san_uri": "pid.example"}, (".san_uri", "This is no URI.")),
    ],
)
def test_an_issuer_is_named_as_its_certificate_names_it(name: dict[str, str], problem: tuple[str, str] | None) -> None:
    expected = [] if problem is None else [(ERROR, f"trust.state.issuers[0]{problem[0]}", problem[1])]
    assert of({"type": "x509", "anchors": [certificate()], "issuers": [name]}) == expected


def test_trusting_everybody_an_authority_certifies_is_noted() -> None:
    assert of({"type": "x509", "anchors": [certificate()]}) == [
        (NOTE, "trust.state", "Every issuer these authorities certify is trusted.")
    ]


PUBLIC = export_public_jwk(KEY.public_key())
OTHERS = [export_public_jwk(ec.generate_private_key(curve).public_key()) for curve in (ec.SECP384R1(), ec.SECP521R1())]
ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


def keys(*public: dict[str, Any], issuer: str = "https://pid.example") -> list[Problem]:
    return of({"type": "jwks", "issuer": issuer, "keys": list(public)})


@pytest.mark.parametrize(
    "key",
    [
        PUBLIC,
        *OTHERS,
        {**PUBLIC, "alg": "ES256", "use": "sig", "key_ops": ["verify"], "kid": "1"},
        {**PUBLIC, "alg": "ES384"},
        {**PUBLIC, "use": "enc"},
        {**PUBLIC, "key_ops": ["sign"]},
        {**PUBLIC, "key_ops": "verify"},
        {**PUBLIC, "kty": "RSA"},
        {**PUBLIC, "crv": "P-384"},
        {**PUBLIC, "crv": ["P-256"]},
        {**PUBLIC, "y": PUBLIC["x"]},
        {**PUBLIC, "x": PUBLIC["x"] + "="},
        {**PUBLIC, "x": "AA" + PUBLIC["x"]},
        {**PUBLIC, "x": "é" * 43},
        {**PUBLIC, "x": 1},
        {"kty": "EC", "crv": "P-256", "x": PUBLIC["x"]},
        {"kty": "OKP", "crv": "Ed25519", "x": PUBLIC["x"]},
        {},
    ],
)
def test_a_key_is_taken_if_credentials_can_be_verified_with_it(key: dict[str, Any]) -> None:
    try:
        import_public_jwk(key, algorithm=ALGORITHMS.get(str(key.get("crv")), "ES256"))
    except Malformed:
        assert keys(key) == [(ERROR, "trust.state.keys[0]", "Credentials cannot be verified with this key.")]
    else:
        assert keys(key) == []


@pytest.mark.rule("M-24")
@pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
def test_a_private_key_is_refused_and_not_repeated(name: str) -> None:
    problems = keys({**PUBLIC, "kid": "1"}, {**OTHERS[0], "kid": "2", name: "hunter2hunter2"})
    assert problems == [(ERROR, "trust.state.keys[1]", "This key is a private one.")]


@pytest.mark.parametrize(
    ("kids", "fine"), [((None,), True), (("1", "2"), True), (("1", None), False), (("1", "1"), False), ((1, 2), False)]
)
def test_of_several_keys_the_kid_says_which_is_meant(kids: tuple[Any, ...], fine: bool) -> None:
    named = [{**PUBLIC, "kid": kid} if kid else PUBLIC for kid in kids]
    problem = (ERROR, "trust.state.keys", "It is not clear which key is meant.")
    assert keys(*named) == ([] if fine else [problem])


@pytest.mark.parametrize(("issuer", "fine"), [("urn:pid", True), ("pid provider", False), ("pid.example", False)])
def test_an_issuer_of_known_keys_is_a_uri(issuer: str, fine: bool) -> None:
    assert keys(PUBLIC, issuer=issuer) == ([] if fine else [(ERROR, "trust.state.issuer", "This is no URI.")])


def test_what_the_service_looks_up_is_not_written_by_hand() -> None:
    resolved = {"issuer": "https://evil.example", "anchors": [certificate()]}
    assert of({"type": "tenant", "tenant": "state", "resolved": resolved}) == [
        (ERROR, "trust.state.resolved", "The service writes this when the document is applied.")
    ]


def test_its_own_credentials_a_tenant_can_trust_by_saying_so() -> None:
    assert of({"type": "tenant", "tenant": "acme"}) == []


def test_trust_that_nobody_names_is_odd() -> None:
    trust = {"state": {"type": "tenant", "tenant": "state"}, "other": {"type": "tenant", "tenant": "other"}}
    assert found_in(trust=trust) == [(WARNING, "trust.other", "No presentation trusts these issuers.")]


def test_a_trust_is_of_a_known_type() -> None:
    assert of({"type": "x509s"}) == [(ERROR, "trust.state.type", "This must be `x509` or `jwks` or `tenant`.")]
