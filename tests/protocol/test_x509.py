import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from app.protocol.strict_json import Malformed
from app.protocol.x509 import encode_x5c, read_x5c, verify_chain
from tests.protocol.certificates import CA, CA_KEY, LEAF, LEAF_KEY, NOW, SUB, SUB_KEY, SUB_LEAF, certificate, der

ROGUE_KEY = ec.derive_private_key(0xBAD, ec.SECP256R1())
LOOK_ALIKE = certificate("CA", ROGUE_KEY, issuer="CA", issuer_key=ROGUE_KEY, ca=True)
CERTIFIED_BY_CA: dict[str, Any] = {"issuer": "CA", "issuer_key": CA_KEY}
SELF_SIGNED = certificate("Leaf", LEAF_KEY, issuer="Leaf", issuer_key=LEAF_KEY)


def leaf(**arguments: Any) -> x509.Certificate:
    return certificate("Leaf", LEAF_KEY, **(CERTIFIED_BY_CA | arguments))


@pytest.mark.parametrize("chain", [[LEAF], [SUB_LEAF, SUB]])
def test_chains_to_the_anchor(chain: list[x509.Certificate]) -> None:
    assert read_x5c(encode_x5c(der(*chain))) == chain
    verify_chain(chain, anchors=[LOOK_ALIKE, CA], now=NOW)


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param([LEAF, CA], id="anchor in the chain"),
        pytest.param([CA], id="the anchor itself"),
        pytest.param([SELF_SIGNED], id="self-signed"),
        pytest.param([SUB_LEAF], id="intermediate missing"),
        pytest.param([SUB, SUB_LEAF], id="wrong order"),
        pytest.param([LEAF, SUB], id="unneeded certificate"),
        pytest.param([SUB_LEAF, SUB, LEAF], id="stray certificate"),
        pytest.param([leaf(issuer_key=ROGUE_KEY)], id="signed by another key of that name"),
        pytest.param([leaf(issuer="Leaf2", issuer_key=LEAF_KEY), LEAF], id="leaf as CA"),
        pytest.param([leaf(issuer="Other CA")], id="other issuer"),
        pytest.param([leaf(starts=NOW - 9, ends=NOW - 1)], id="expired"),
        pytest.param([leaf(starts=NOW + 1)], id="not yet valid"),
        pytest.param([leaf(key_usage="key_encipherment")], id="key usage"),
        pytest.param(
            [leaf(extra=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"))],
            id="unknown critical extension",
        ),
    ],
)
def test_other_chains_are_refused(chain: list[x509.Certificate]) -> None:
    with pytest.raises(Malformed):
        verify_chain(chain, anchors=[CA], now=NOW)


def sub(**arguments: Any) -> x509.Certificate:
    return certificate("Sub", SUB_KEY, **(CERTIFIED_BY_CA | {"ca": True} | arguments))


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


def test_the_path_length_counts() -> None:
    third_key = ec.derive_private_key(3, ec.SECP256R1())
    third = certificate("Third", third_key, issuer="Sub", issuer_key=SUB_KEY, ca=True)
    end = certificate("End", LEAF_KEY, issuer="Third", issuer_key=third_key)
    verify_chain([end, third, sub(path_length=1)], anchors=[CA], now=NOW)
    with pytest.raises(Malformed):
        verify_chain([end, third, SUB], anchors=[CA], now=NOW)


@pytest.mark.parametrize("anchors", [[], [LOOK_ALIKE]])
def test_only_given_anchors_are_trusted(anchors: list[x509.Certificate]) -> None:
    with pytest.raises(Malformed):
        verify_chain([LEAF], anchors=anchors, now=NOW)


@pytest.mark.parametrize("pinned", [LEAF, SUB, SELF_SIGNED])
def test_a_pinned_certificate_is_no_leaf(pinned: x509.Certificate) -> None:
    with pytest.raises(Malformed, match="holds the trust anchor"):
        verify_chain([pinned], anchors=[pinned, CA], now=NOW)


def test_another_self_signed_certificate_of_the_anchors_key_is_no_leaf() -> None:
    with pytest.raises(Malformed, match="self-signed"):
        verify_chain([certificate("CA", CA_KEY, issuer="CA", issuer_key=CA_KEY)], anchors=[CA], now=NOW)


ENTRY = encode_x5c(der(LEAF))[0]


@pytest.mark.parametrize(
    "value",
    [
        None,
        ENTRY,
        [],
        [ENTRY] * 6,
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
