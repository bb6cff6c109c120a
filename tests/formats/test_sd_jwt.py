"""Putting disclosed claims back where their digests are (RFC 9901 §7.1): every rule by which an SD-JWT is refused."""

import time
from typing import Any

import pytest

from app.formats.sd_jwt import reveal
from app.protocol import jose, jwk
from app.protocol.strict_json import Malformed
from tests.protocol.jwts import VECTORS, b64, read_json_vector, read_vector
from tests.support.presented import digest, disclosure

SIGNED = sorted(str(path.parent.relative_to(VECTORS)) for path in VECTORS.glob("*/*/sd_jwt.txt"))
UNSIGNED = sorted(path.parent.name for path in VECTORS.glob("rfc9901/*/payload.json"))


@pytest.mark.rule("SD-07", "SD-14")
@pytest.mark.parametrize("case", SIGNED)
def test_published_sd_jwts(case: str) -> None:
    issuer_jwt, *disclosures = read_vector(f"{case}/sd_jwt.txt").removesuffix("~").split("~")
    key = jwk.import_public_jwk(read_json_vector("rfc9901/issuer.jwk.json"), algorithm="ES256")
    verified = jose.verify_jwt(jose.parse_jwt(issuer_jwt), key, algorithms=["ES256"])
    assert reveal(verified.payload, disclosures) == read_json_vector(f"{case}/expected.json")


@pytest.mark.rule("SD-08", "SD-14")
@pytest.mark.parametrize("case", UNSIGNED)
def test_published_payloads(case: str) -> None:
    disclosures = read_json_vector(f"rfc9901/{case}/disclosures.json")
    assert reveal(read_json_vector(f"rfc9901/{case}/payload.json"), disclosures) == read_json_vector(
        f"rfc9901/{case}/expected.json"
    )


def refused(payload: dict[str, Any], disclosures: list[str], text: str) -> None:
    with pytest.raises(Malformed, match=text):
        reveal(payload, disclosures)


A, B = disclosure("s", "a", 1), disclosure("s", "b", 2)
ELEMENT = disclosure("s", "value")
STRAY_BITS = A[:-1] + chr(ord(A[-1]) + 1)
WITHIN = disclosure("s", "x", {"_sd": [digest(A)]})


@pytest.mark.rule("SD-08", "SD-13", "CP-07")
def test_digests_are_found_at_every_depth() -> None:
    payload = {"a": [{"...": digest(ELEMENT)}, {"...": "decoy"}, 1, {"b": 2, "_sd": [digest(WITHIN)]}]}
    assert reveal(payload, []) == {"a": [1, {"b": 2}]}
    assert reveal(payload, [ELEMENT]) == {"a": ["value", 1, {"b": 2}]}
    assert reveal(payload, [WITHIN]) == {"a": [1, {"b": 2, "x": {}}]}
    assert reveal(payload, [A, WITHIN]) == {"a": [1, {"b": 2, "x": {"a": 1}}]}


@pytest.mark.rule("SD-14", "AG-08")
def test_nothing_of_the_mechanism_is_left() -> None:
    payload = {"_sd_alg": "sha-256", "_sd": ["decoy"], "a": {"_sd": ["other"]}, "b": [{"...": "third"}]}
    assert reveal(payload, []) == {"a": {}, "b": []}


@pytest.mark.rule("SD-16", "AG-05")
@pytest.mark.parametrize(
    "disclosures", [[A, B], [B], [ELEMENT], [disclosure("s", "age_over_18", True)], [disclosure("t", "a", 1)]]
)
def test_every_disclosure_is_referred_to(disclosures: list[str]) -> None:
    refused({"_sd": [digest(A)]}, disclosures, "nothing refers to")


@pytest.mark.rule("SD-16")
def test_a_disclosure_within_one_that_is_withheld_is_referred_to_by_nothing() -> None:
    refused({"_sd": [digest(WITHIN)]}, [A], "nothing refers to")


@pytest.mark.rule("SD-17", "AG-06")
def test_a_disclosure_occurs_once() -> None:
    refused({"_sd": [digest(A)]}, [A, A], "repeated disclosure")


@pytest.mark.rule("SD-15", "AG-04")
@pytest.mark.parametrize(
    ("payload", "disclosures"),
    [
        pytest.param({"_sd": [digest(A), digest(A)]}, [A], id="in one array"),
        pytest.param({"_sd": [digest(A)], "x": {"_sd": [digest(A)]}}, [A], id="on two levels"),
        pytest.param({"_sd": [digest(A), digest(WITHIN)]}, [A, WITHIN], id="in the payload and a disclosure"),
        pytest.param({"_sd": ["x"], "a": [{"...": "x"}]}, [], id="of a member and an element"),
        pytest.param({"_sd": ["decoy", "decoy"]}, [], id="decoys"),
    ],
)
def test_a_digest_occurs_once(payload: dict[str, Any], disclosures: list[str]) -> None:
    refused(payload, disclosures, "repeated digest")


@pytest.mark.rule("SD-11", "AG-07")
@pytest.mark.parametrize(
    ("payload", "disclosures"),
    [
        pytest.param({"_sd": [digest(A)], "a": 0}, [A], id="plain"),
        pytest.param({"a": None, "_sd": [digest(A)]}, [A], id="plain null"),
        pytest.param({"x": {"_sd": [digest(A)], "a": 1}}, [A], id="nested"),
        pytest.param(
            {"_sd": [digest(A), digest(disclosure("t", "a", 1))]}, [A, disclosure("t", "a", 1)], id="disclosed too"
        ),
    ],
)
def test_a_name_occurs_once(payload: dict[str, Any], disclosures: list[str]) -> None:
    refused(payload, disclosures, "there already")


@pytest.mark.rule("SD-18", "AG-08")
@pytest.mark.parametrize(
    "payload",
    [
        {"_sd": "x"},
        {"_sd": None},
        {"_sd": {}},
        {"_sd": [1]},
        {"_sd": [["x"]]},
        {"a": {"_sd": {}}},
        {"a": [{"_sd": 1}]},
        {"a": [{"...": "d", "k": 1}]},
        {"a": [{"...": "d", "_sd": []}]},
        {"a": [{"...": 1}]},
        {"a": [[{"...": None}]]},
        {"...": "x"},
        {"a": {"...": "x"}},
    ],
)
def test_what_only_looks_like_digests(payload: dict[str, Any]) -> None:
    refused(payload, [], "_sd|digest|reserved")


@pytest.mark.rule("SD-10", "AG-08")
@pytest.mark.parametrize("name", ["_sd", "...", "_sd_alg"])
@pytest.mark.parametrize("value", ["x", [], ["decoy"]])
def test_names_of_the_mechanism_are_not_disclosed(name: str, value: Any) -> None:
    text = disclosure("s", name, value)
    refused({"_sd": [digest(text)]}, [text], "not an object member's")
    within = disclosure("s", "x", {name: "x"})
    refused({"_sd": [digest(within)]}, [within], "_sd|reserved")


@pytest.mark.rule("SD-06", "AG-10")
@pytest.mark.parametrize(
    "payload",
    [
        *({"_sd_alg": name} for name in ("SHA-256", "sha-256-64", "sha256", "sha-1", "md5", "", None, 1, ["sha-256"])),
        {"a": {"_sd_alg": "sha-256"}},
        {"a": [{"_sd_alg": "sha-256"}]},
    ],
)
def test_hashes_that_are_not_taken(payload: dict[str, Any]) -> None:
    refused(payload, [], "_sd_alg|reserved")


@pytest.mark.rule("SD-06", "SD-07")
@pytest.mark.parametrize("name", ["sha-256", "sha-384", "sha-512"])
def test_hashes_that_are(name: str) -> None:
    assert reveal({"_sd_alg": name, "_sd": [digest(A, name)]}, [A]) == {"a": 1}
    other = "sha-256" if name != "sha-256" else "sha-512"
    refused({"_sd_alg": name, "_sd": [digest(A, other)]}, [A], "nothing refers to")


# What a disclosure is


@pytest.mark.rule("SD-09", "SD-12")
@pytest.mark.parametrize(
    "content",
    [
        [],
        ["s"],
        ["s", "a", 1, 2],
        ["s", 1, 1],
        ["s", None, 1],
        [1, "a", 1],
        [None, 1],
    ],
)
def test_a_disclosure_is_salt_name_and_value(content: list[Any]) -> None:
    text = disclosure(*content)
    for payload in ({"_sd": [digest(text)]}, {"a": [{"...": digest(text)}]}):
        refused(payload, [text], "not an array of salt")


@pytest.mark.rule("SD-09", "SD-12")
def test_a_disclosure_is_a_members_or_an_elements() -> None:
    refused({"_sd": [digest(ELEMENT)]}, [ELEMENT], "not an object member's")
    refused({"a": [{"...": digest(A)}]}, [A], "not an array element's")


@pytest.mark.rule("SD-23", "AG-18")
@pytest.mark.parametrize(
    "octets",
    [
        b'{"a":1}',
        b'"sab"',
        b'["s","a",{"b":1,"b":2}]',
        b'["s","a",NaN]',
        b'["s","a",1e400]',
        b'["s","a","\\ud800"]',
        b'["s","a",' + b"1" * 10_000 + b"]",
        b'["s","a",1]x',
        b'\xef\xbb\xbf["s","a",1]',
        b"\xff",
        b"",
    ],
)
def test_a_disclosure_is_strict_json(octets: bytes) -> None:
    text = b64(octets)
    with pytest.raises(Malformed):
        reveal({"_sd": [digest(text)]}, [text])


@pytest.mark.rule("SD-01", "E-17")
@pytest.mark.parametrize("text", ["é", "", " ", A + "=", A + "\n", A[:-1] + "+", STRAY_BITS])
def test_a_disclosure_is_base64url_in_the_one_way(text: str) -> None:
    with pytest.raises(Malformed):
        reveal({"_sd": [digest(text)]}, [text])


@pytest.mark.rule("SD-07", "AG-18")
def test_white_space_in_a_disclosure_counts_for_the_digest_only() -> None:
    spaced = b64(b'[ "s" , "a",\n1 ]')
    assert reveal({"_sd": [digest(spaced)]}, [spaced]) == {"a": 1}
    refused({"_sd": [digest(A)]}, [spaced], "nothing refers to")


# How much


def nested(depth: int) -> tuple[dict[str, Any], list[str]]:
    """Disclosures that each hold the digest of the next."""
    disclosures = [disclosure("s", "a", 1)]
    for _ in range(depth - 1):
        disclosures.append(disclosure("s", "a", {"_sd": [digest(disclosures[-1])]}))
    return {"_sd": [digest(disclosures[-1])]}, disclosures


def many(count: int) -> tuple[dict[str, Any], list[str]]:
    disclosures = [disclosure("s", str(number), number) for number in range(count)]
    return {"_sd": [digest(text) for text in disclosures]}, disclosures


@pytest.mark.rule("SD-23")
def test_how_much_is_taken() -> None:
    assert reveal(*nested(31))
    assert len(reveal(*many(256))) == 256
    large = disclosure("s", "a", "x" * 12_000)
    assert reveal({"_sd": [digest(large)]}, [large])


LARGE = disclosure("s", "a", "x" * 1_000_000)
BOMBS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "one too many": many(257),
    "many": many(20_000),
    "nested one too deep": nested(32),
    "nested": nested(250),
    "nested and many": nested(1000),
    "nested in itself": ({"_sd": ["x"]}, [b64(b'["s","a",' + b"[" * 10_000 + b"]" * 10_000 + b"]")]),
    "large": ({"_sd": [digest(LARGE)]}, [LARGE]),
}


@pytest.mark.rule("SD-23", "AG-11")
@pytest.mark.parametrize("name", BOMBS)
def test_too_much_is_refused_at_once(name: str) -> None:
    payload, disclosures = BOMBS[name]
    spent: list[float] = []
    # At best of three: others collect garbage.
    for _ in range(3):
        began = time.thread_time()
        refused(payload, disclosures, "too (many|deeply|long)")
        spent.append(time.thread_time() - began)
    assert min(spent) < 0.2
