import base64
from itertools import count
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.protocol.strict_json import Malformed
from app.protocol.x509 import encode_x5c, read_der, read_pem, read_x5c, verify_chain
from tests.protocol.certificates import CA, CA_KEY, LEAF, LEAF_KEY, NOW, SUB, SUB_KEY, SUB_LEAF, certificate, der, pem

ROGUE_KEY = ec.derive_private_key(0xBAD, ec.SECP256R1())
LOOK_ALIKE = certificate("CA", ROGUE_KEY, issuer="CA", issuer_key=ROGUE_KEY, ca=True)
YEAR_2050 = 2_524_608_000
CERTIFIED_BY_CA: dict[str, Any] = {"issuer": "CA", "issuer_key": CA_KEY}
CROSS_SIGNED = certificate("CA", CA_KEY, issuer="Other CA", issuer_key=ROGUE_KEY, ca=True)
SELF_SIGNED = certificate("Leaf", LEAF_KEY, issuer="Leaf", issuer_key=LEAF_KEY)


def leaf(subject: str = "Leaf", **arguments: Any) -> x509.Certificate:
    return certificate(subject, LEAF_KEY, **(CERTIFIED_BY_CA | arguments))


@pytest.mark.rule("X-03")
@pytest.mark.parametrize("chain", [[LEAF], [SUB_LEAF, SUB]])
def test_chains_to_the_anchor(chain: list[x509.Certificate]) -> None:
    assert read_x5c(encode_x5c(der(*chain))) == chain
    verify_chain(chain, anchors=[LOOK_ALIKE, CA], now=NOW)


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param([LEAF, CA], id="anchor in the chain", marks=pytest.mark.rule("X-01", "I-02")),
        pytest.param([SUB_LEAF, SUB, CROSS_SIGNED], id="cross-signed anchor", marks=pytest.mark.rule("I-02")),
        pytest.param([CA], id="the anchor itself", marks=pytest.mark.rule("X-01")),
        pytest.param([SELF_SIGNED], id="self-signed", marks=pytest.mark.rule("X-02", "I-01")),
        pytest.param([SUB_LEAF], id="intermediate missing", marks=pytest.mark.rule("X-03")),
        pytest.param([SUB, SUB_LEAF], id="wrong order", marks=pytest.mark.rule("X-08", "I-10")),
        pytest.param([LEAF, SUB], id="unneeded certificate", marks=pytest.mark.rule("X-08")),
        pytest.param([LEAF, LEAF], id="twice", marks=pytest.mark.rule("X-08", "I-10")),
        pytest.param([SUB_LEAF, SUB, LEAF], id="stray certificate", marks=pytest.mark.rule("X-08")),
        pytest.param(
            [leaf(issuer_key=ROGUE_KEY)], id="signed by another key of that name", marks=pytest.mark.rule("X-03")
        ),
        pytest.param(
            [leaf(issuer="Leaf", issuer_key=LEAF_KEY, subject="Rogue"), LEAF],
            id="leaf as CA",
            marks=pytest.mark.rule("X-03", "I-03"),
        ),
        pytest.param([leaf(issuer="Other CA")], id="other issuer"),
        pytest.param([leaf(starts=NOW - 9, ends=NOW - 1)], id="expired", marks=pytest.mark.rule("X-03", "I-06")),
        pytest.param([leaf(starts=NOW + 1)], id="not yet valid", marks=pytest.mark.rule("X-03", "I-06")),
        pytest.param([leaf(key_usage="key_encipherment")], id="key usage", marks=pytest.mark.rule("X-04")),
        pytest.param(
            [leaf(extra=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"))],
            id="unknown critical extension",
            marks=pytest.mark.rule("X-03", "I-06"),
        ),
    ],
)
def test_other_chains_are_refused(chain: list[x509.Certificate]) -> None:
    with pytest.raises(Malformed):
        verify_chain(chain, anchors=[CA], now=NOW)


def sub(**arguments: Any) -> x509.Certificate:
    return certificate("Sub", SUB_KEY, **(CERTIFIED_BY_CA | {"ca": True} | arguments))


@pytest.mark.rule("X-03", "I-03")
@pytest.mark.parametrize(
    "intermediate",
    [
        pytest.param(sub(ca=False), id="no CA"),
        pytest.param(sub(ca=False, extra=x509.BasicConstraints(ca=False, path_length=None)), id="said to be no CA"),
        pytest.param(sub(key_usage="digital_signature"), id="key usage"),
        pytest.param(sub(starts=NOW - 9, ends=NOW - 1), id="expired"),
    ],
)
def test_intermediates_that_may_not_certify(intermediate: x509.Certificate) -> None:
    verify_chain([SUB_LEAF, sub()], anchors=[CA], now=NOW)
    with pytest.raises(Malformed):
        verify_chain([SUB_LEAF, intermediate], anchors=[CA], now=NOW)


@pytest.mark.rule("X-03", "I-03")
def test_the_path_length_counts() -> None:
    third_key = ec.derive_private_key(3, ec.SECP256R1())
    third = certificate("Third", third_key, issuer="Sub", issuer_key=SUB_KEY, ca=True)
    end = certificate("End", LEAF_KEY, issuer="Third", issuer_key=third_key)
    verify_chain([end, third, sub(path_length=1)], anchors=[CA], now=NOW)
    with pytest.raises(Malformed):
        verify_chain([end, third, SUB], anchors=[CA], now=NOW)


@pytest.mark.rule("I-11", "E-07")
@pytest.mark.parametrize("anchors", [[], [LOOK_ALIKE]])
def test_only_given_anchors_are_trusted(anchors: list[x509.Certificate]) -> None:
    with pytest.raises(Malformed):
        verify_chain([LEAF], anchors=anchors, now=NOW)


@pytest.mark.rule("X-02", "I-01")
@pytest.mark.parametrize("pinned", [LEAF, SUB, SELF_SIGNED])
def test_a_pinned_certificate_is_no_leaf(pinned: x509.Certificate) -> None:
    with pytest.raises(Malformed, match="holds the trust anchor"):
        verify_chain([pinned], anchors=[pinned, CA], now=NOW)


@pytest.mark.rule("X-02", "I-01")
def test_another_self_signed_certificate_of_the_anchors_key_is_no_leaf() -> None:
    with pytest.raises(Malformed, match="self-signed"):
        verify_chain([certificate("CA", CA_KEY, issuer="CA", issuer_key=CA_KEY)], anchors=[CA], now=NOW)


ENTRY = encode_x5c(der(LEAF))[0]
PEM = pem(*der(LEAF))


@pytest.mark.rule("X-09", "X-05", "I-10")
@pytest.mark.parametrize(
    "value",
    [
        None,
        ENTRY,
        [],
        [ENTRY] * 6,
        [ENTRY] * 1000,
        [None],
        [""],
        ["AA=="],
        [ENTRY + "\n"],
        [" " + ENTRY],
        [base64.urlsafe_b64encode(der(LEAF)[0] + b"\xff\xff\xff").decode()],
        [base64.b64encode(der(LEAF)[0] + b"\x00").decode()],
        [base64.b64encode(b"x" * 40_000).decode()],
        ["é"],
    ],
)
def test_what_is_no_x5c(value: Any) -> None:
    with pytest.raises(Malformed):
        read_x5c(value)


@pytest.mark.rule("X-09")
def test_left_over_bits_of_base64_are_zero() -> None:
    entries = (encode_x5c(der(leaf(starts=NOW - age)))[0] for age in count(1))
    padded = next(entry for entry in entries if entry.endswith("="))
    body = padded.rstrip("=")
    stray = f"{body[:-1]}{chr(ord(body[-1]) + 1)}{padded.removeprefix(body)}"
    assert base64.b64decode(stray) == base64.b64decode(padded)
    with pytest.raises(Malformed, match="one way"):
        read_x5c([stray])


NAMED = leaf(plain=[x509.SubjectAlternativeName([x509.DNSName("pid.example")])])
DIRECTORY_NAME = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pid")]))
NAMED_BY_DIRECTORY = leaf(plain=[x509.SubjectAlternativeName([DIRECTORY_NAME])])
TWICE = [x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{number}"), b"\x05\x00") for number in (4, 5)]


@pytest.mark.parametrize(
    ("certificate", "octets", "replaced"),
    [
        pytest.param(LEAF, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03", id="version 4"),
        pytest.param(NAMED, b"\x82\x0bpid", b"\xa3\x0bpid", id="name of a kind that is not read"),
        pytest.param(leaf(plain=TWICE), b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04", id="extension twice"),
        pytest.param(
            LEAF, b"\x86\x48\xce\x3d\x03\x01\x07", b"\x86\x48\xce\x3d\x03\x01\x7f", id="curve that nobody knows"
        ),
        pytest.param(LEAF, b"\x0c\x04Leaf", b"\x03\x04Leaf", id="subject that is a bit string"),
        pytest.param(LEAF, b"\x0c\x02CA", b"\x03\x02CA", id="issuer that is a bit string"),
        pytest.param(NAMED_BY_DIRECTORY, b"\x0c\x03pid", b"\x03\x03pid", id="alternative name that is a bit string"),
        pytest.param(leaf(ends=YEAR_2050), b"\x18\x0f2050", b"\x18\x0f0000", id="year 0"),
    ],
)
def test_what_the_library_does_not_read_is_no_certificate(
    certificate: x509.Certificate, octets: bytes, replaced: bytes
) -> None:
    [whole] = der(certificate)
    assert octets in whole
    unreadable = whole.replace(octets, replaced)
    with pytest.raises(Malformed, match="not a certificate"):
        read_x5c(encode_x5c([unreadable]))
    with pytest.raises(Malformed, match="not a certificate"):
        read_der(unreadable)
    with pytest.raises(Malformed, match="PEM"):
        read_pem(pem(*der(CA), unreadable))


def test_certificates_are_read_from_either_encoding() -> None:
    assert [read_der(octets) for octets in der(LEAF, CA)] == [LEAF, CA]
    text = pem(*der(LEAF, CA))
    assert read_pem(text) == read_pem(f"subject=CN=Leaf\n\n{text}".encode()) == [LEAF, CA]


@pytest.mark.parametrize("text", ["", "pem", PEM[:-40], PEM.replace("M", "!"), "\udcff", b"\xff\x00"])
def test_what_holds_no_certificates(text: str | bytes) -> None:
    with pytest.raises(Malformed, match="PEM"):
        read_pem(text)


@pytest.mark.rule("X-03", "I-06")
def test_a_chain_that_was_valid_is_judged_by_the_time_again() -> None:
    anchor = certificate("CA", CA_KEY, issuer="CA", issuer_key=CA_KEY, ca=True, starts=NOW - 20, ends=NOW + 20)
    chain = [SUB_LEAF, sub(starts=NOW - 10, ends=NOW + 10)]
    for now in (NOW, NOW - 10, NOW + 10, NOW):
        verify_chain(chain, anchors=[anchor], now=now)
    for now in (NOW - 11, NOW + 11):
        with pytest.raises(Malformed, match="lead to"):
            verify_chain(chain, anchors=[anchor], now=now)


@pytest.mark.rule("X-03", "I-06", "I-11")
def test_a_chain_that_was_valid_needs_an_anchor_that_still_is() -> None:
    short = certificate("CA", CA_KEY, issuer="CA", issuer_key=CA_KEY, ca=True, starts=NOW - 20, ends=NOW + 20)
    verify_chain([LEAF], anchors=[short], now=NOW)
    verify_chain([LEAF], anchors=[short, CA], now=NOW + 21)
    for anchors in ([short], [short, LOOK_ALIKE], [LOOK_ALIKE]):
        with pytest.raises(Malformed, match="lead to"):
            verify_chain([LEAF], anchors=anchors, now=NOW + 21)
