"""A right presentation, changed anywhere, is refused; and nothing but a refusal comes of it.

First by somebody without any key, who can change what was sent; then by the holder, who can sign again; then by an
issuer's key with another certificate, which an authority would have to sign.
"""

import base64
import json
import string
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.protocol.jose import BadSignature
from app.protocol.strict_json import Malformed
from app.protocol.x509 import encode_x5c
from tests.formats.judged import judge
from tests.protocol.certificates import NOW, der
from tests.protocol.jwts import KEY, OTHER_KEY, b64, make_jwt, segment
from tests.support.presented import AUDIENCE, NONCE, PERSON, PID_CA, PID_KEY, Issuer, digest, disclosure, present

# The library warns of serial numbers that it will refuse one day.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"

SUB = PID_CA.intermediate("Sub", ec.derive_private_key(0x5B, ec.SECP256R1()))
LEAF = SUB.certify("PID Issuer", PID_KEY, names=[x509.DNSName("pid.example")], key_usage="digital_signature")
CHAIN = der(LEAF, SUB.certificate)

INNER, ELEMENT = disclosure("s1", "street", "Königsallee"), disclosure("s2", "DE")
OUTER = disclosure("s3", "address", {"_sd": [digest(INNER), digest("a decoy")], "country": "DE"})
CREDENTIAL = Issuer(key=PID_KEY, chain=(LEAF, SUB.certificate)).issue(
    PERSON, payload={"nationalities": [{"...": digest(ELEMENT)}, "FR"]}
)
CREDENTIAL = CREDENTIAL.bent(
    payload={"_sd": [*CREDENTIAL.payload["_sd"], digest(OUTER)]},
    disclosures=[*CREDENTIAL.disclosures, OUTER, INNER, ELEMENT],
)
SD_JWT = CREDENTIAL.text
PRESENTED = present(SD_JWT)
ISSUER_JWT, *DISCLOSURES, KEY_BINDING_JWT = PRESENTED.split("~")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def refused(presentation: str) -> None:
    """Assert that it is not the one that is right, and that it is refused in one of the two ways."""
    assert presentation != PRESENTED
    with pytest.raises((Malformed, BadSignature)):
        judge(presentation)


def test_what_is_changed_below_is_right() -> None:
    verified = judge(PRESENTED)
    assert verified.claims["address"] == {"country": "DE", "street": "Königsallee"}
    assert verified.claims["nationalities"] == ["DE", "FR"]


# Without a key


@pytest.mark.rule("SD-04", "KB-09", "E-17")
def test_every_character_counts() -> None:
    for position, character in enumerate(PRESENTED):
        # In the last character of a part the lowest bit may be one that is left over.
        other = BASE64URL[BASE64URL.index(character) ^ 1] if character in BASE64URL else "A"
        refused(PRESENTED[:position] + other + PRESENTED[position + 1 :])


@pytest.mark.rule("SD-01", "SD-04")
@settings(max_examples=250, deadline=None)
@given(
    position=st.integers(0, len(PRESENTED)),
    length=st.integers(0, 40),
    text=st.text(alphabet=st.sampled_from(BASE64URL + ".~=") | st.characters(), max_size=12),
)
def test_nothing_is_cut_out_put_in_or_replaced(position: int, length: int, text: str) -> None:
    changed = PRESENTED[:position] + text + PRESENTED[position + length :]
    assume(changed != PRESENTED)
    refused(changed)


@pytest.mark.rule("AG-03", "SD-17")
@settings(max_examples=120, deadline=None)
@given(parts=st.lists(st.sampled_from(PRESENTED.split("~")), max_size=12))
def test_parts_are_not_moved_left_out_or_repeated(parts: list[str]) -> None:
    assume("~".join(parts) != PRESENTED)
    refused("~".join(parts))


@st.composite
def changed_json(draw: st.DrawFn, value: Any) -> Any:
    """`value` with one thing in it replaced, left out, repeated, moved or put in."""
    places = list(_places(value))
    path = draw(st.sampled_from(places))
    copy = json.loads(json.dumps(value))
    if not path:
        return draw(JSON)
    parent = copy
    for step in path[:-1]:
        parent = parent[step]
    match draw(st.sampled_from(["replace", "remove", "repeat", "reverse"])), parent:
        case "replace", _:
            parent[path[-1]] = draw(JSON)
        case "remove", _:
            del parent[path[-1]]
        case "repeat", list():
            parent.append(parent[path[-1]])
        case "repeat", dict():
            parent[draw(st.text(max_size=8))] = parent[path[-1]]
        case "reverse", list():
            parent.reverse()
        case "reverse", dict():
            members = list(reversed(parent.items()))
            parent.clear()
            parent.update(members)
    return copy


def _places(value: Any, above: tuple[Any, ...] = ()) -> Any:
    yield above
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from _places(child, (*above, step))


def parsed(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


SEGMENTS = [(part, number) for part in (ISSUER_JWT, KEY_BINDING_JWT) for number in (0, 1)]


@pytest.mark.rule("SD-04", "SD-22")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_member_of_what_is_signed_changes(data: st.DataObject) -> None:
    part, number = data.draw(st.sampled_from(SEGMENTS))
    segments = part.split(".")
    segments[number] = segment(data.draw(changed_json(parsed(segments[number]))))
    assume(segments != part.split("."))
    refused(PRESENTED.replace(part, ".".join(segments)))


@pytest.mark.rule("SD-04", "E-12")
@settings(max_examples=120, deadline=None)
@given(part=st.sampled_from([ISSUER_JWT, KEY_BINDING_JWT]), octets=st.binary(max_size=140), keep=st.integers(0, 64))
def test_no_other_octets_are_the_signature(part: str, octets: bytes, keep: int) -> None:
    signed, _, signature = part.rpartition(".")
    changed = base64.urlsafe_b64decode(signature + "==")[:keep] + octets
    assume(b64(changed) != signature)
    refused(PRESENTED.replace(part, f"{signed}.{b64(changed)}"))


# With the holder's key


@pytest.mark.rule("SD-16", "SD-22", "AG-05")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_holder_does_not_change_what_is_disclosed(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(DISCLOSURES) - 1))
    changed = segment(data.draw(changed_json(parsed(DISCLOSURES[number]))))
    assume(changed not in DISCLOSURES)
    refused(present("~".join([ISSUER_JWT, *DISCLOSURES[:number], changed, *DISCLOSURES[number + 1 :], ""])))
    refused(present("~".join([ISSUER_JWT, *DISCLOSURES, changed, ""])))


@settings(max_examples=100, deadline=None)
@given(disclosures=st.lists(st.sampled_from(DISCLOSURES)))
def test_a_holder_discloses_each_once_and_none_without_what_it_is_in(disclosures: list[str]) -> None:
    text = "~".join([ISSUER_JWT, *disclosures, ""])
    if len(set(disclosures)) == len(disclosures) and (INNER not in disclosures or OUTER in disclosures):
        assert judge(present(text)).holder_jkt
    else:
        refused(present(text))


BINDING = {"iat": NOW, "aud": AUDIENCE, "nonce": NONCE, "sd_hash": digest(SD_JWT)}


@pytest.mark.rule("KB-06", "KB-08", "KB-09")
@settings(max_examples=120, deadline=None)
@given(name=st.sampled_from(["aud", "nonce", "sd_hash"]), value=JSON | st.sampled_from(list(BINDING.values())))
def test_a_holder_cannot_bind_to_anything_else(name: str, value: Any) -> None:
    assume(value != BINDING[name])
    refused(present(SD_JWT, payload={name: value}))


@pytest.mark.rule("KB-05")
@settings(max_examples=120, deadline=None)
@given(JSON | st.integers(NOW - 1000, NOW + 1000))
def test_a_holder_cannot_bind_at_another_time(iat: Any) -> None:
    assume(isinstance(iat, bool) or not isinstance(iat, int | float) or not NOW - 300 <= iat <= NOW + 60)
    refused(present(SD_JWT, payload={"iat": iat}))


@pytest.mark.rule("KB-02", "KB-03")
@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(["typ", "alg", "crit", "b64", "jwk", "x5c", "jku"]), value=JSON)
def test_a_holder_cannot_sign_in_another_way(name: str, value: Any) -> None:
    assume(value not in ("kb+jwt", "ES256"))
    refused(present(SD_JWT, header={name: value}))


@pytest.mark.rule("KB-04")
@settings(max_examples=50, deadline=None)
@given(number=st.integers(1, 2**200))
def test_nobody_else_binds(number: int) -> None:
    key = ec.derive_private_key(number, ec.SECP256R1())
    assume(key != KEY)
    refused(present(SD_JWT, holder=key))


# With the issuer's key, and another chain


def certified_by(x5c: Sequence[Any]) -> str:
    """The presentation of a credential that is rightly signed, under this chain."""
    return present(f"{make_jwt({**CREDENTIAL.header, 'x5c': x5c}, dict(CREDENTIAL.payload), PID_KEY)}~")


def test_a_presentation_under_the_right_chain_is_right() -> None:
    assert judge(certified_by(encode_x5c(CHAIN))).issuer


@pytest.mark.rule("X-03", "I-10")
@pytest.mark.parametrize("number", [0, 1])
def test_every_octet_of_a_certificate_counts(number: int) -> None:
    for position in range(len(CHAIN[number])):
        octets = bytearray(CHAIN[number])
        octets[position] ^= 1
        chain = [*CHAIN[:number], bytes(octets), *CHAIN[number + 1 :]]
        refused(certified_by(encode_x5c(chain)))


@pytest.mark.rule("X-03", "X-09")
@settings(max_examples=150, deadline=None)
@given(
    number=st.sampled_from([0, 1]),
    position=st.integers(0, 600),
    length=st.integers(0, 8),
    put=st.binary(max_size=8),
)
def test_nothing_in_a_certificate_is_replaced(number: int, position: int, length: int, put: bytes) -> None:
    octets = CHAIN[number][:position] + put + CHAIN[number][position + length :]
    assume(octets != CHAIN[number])
    refused(certified_by(encode_x5c([*CHAIN[:number], octets, *CHAIN[number + 1 :]])))


ENTRIES = encode_x5c([*CHAIN, *der(PID_CA.certificate, SUB.certify("PID Issuer", OTHER_KEY))])


@pytest.mark.rule("X-08", "I-10")
@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from(ENTRIES), max_size=5) | st.lists(JSON, max_size=3))
def test_the_chain_is_in_order_and_nothing_else(x5c: list[Any]) -> None:
    assume(x5c != ENTRIES[:2])
    refused(certified_by(x5c))


@pytest.mark.rule("X-09")
@settings(max_examples=120, deadline=None)
@given(position=st.integers(0, len(ENTRIES[0])), text=st.text(string.printable, max_size=3), length=st.integers(0, 3))
def test_a_certificate_has_one_spelling(position: int, text: str, length: int) -> None:
    entry = ENTRIES[0][:position] + text + ENTRIES[0][position + length :]
    assume(entry != ENTRIES[0])
    refused(certified_by([entry, ENTRIES[1]]))
