import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats.sd_jwt import blind, reveal
from app.protocol import jose, jwk
from app.protocol.strict_json import Malformed
from tests.protocol.jwts import VECTORS, b64, read_json_vector, read_vector

SIGNED = sorted(path.parent.name for path in VECTORS.glob("rfc9901/*/sd_jwt.txt"))
UNSIGNED = sorted(path.parent.name for path in VECTORS.glob("rfc9901/*/payload.json"))


class Claim(NamedTuple):
    path: tuple[str, ...]
    value: Any
    disclosure: Literal["selective", "always"] = "selective"


def salts() -> Callable[[], str]:
    numbers: Iterator[int] = count()
    return lambda: b64(next(numbers).to_bytes(16, "big"))


def disclosure(*content: Any) -> str:
    return b64(json.dumps(list(content)).encode())


def digest(text: str) -> str:
    return b64(hashlib.sha256(text.encode()).digest())


def decoded(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@pytest.mark.parametrize("case", SIGNED)
def test_published_sd_jwts(case: str) -> None:
    issuer_jwt, *disclosures = read_vector(f"rfc9901/{case}/sd_jwt.txt").removesuffix("~").split("~")
    key = jwk.import_public_jwk(read_json_vector("rfc9901/issuer.jwk.json"), algorithm="ES256")
    verified = jose.verify_jwt(jose.parse_jwt(issuer_jwt), key, algorithms=["ES256"])
    assert reveal(verified.payload, disclosures) == read_json_vector(f"rfc9901/{case}/expected.json")


@pytest.mark.parametrize("case", UNSIGNED)
def test_published_payloads(case: str) -> None:
    disclosures = read_json_vector(f"rfc9901/{case}/disclosures.json")
    assert reveal(read_json_vector(f"rfc9901/{case}/payload.json"), disclosures) == read_json_vector(
        f"rfc9901/{case}/expected.json"
    )


def test_flat_and_always() -> None:
    payload, disclosures = blind(
        [Claim(("a",), 1), Claim(("b",), {"c": [2]}, "always"), Claim(("d",), "é")], salt=salts()
    )
    assert payload == {"b": {"c": [2]}, "_sd": sorted(map(digest, disclosures))}
    assert [decoded(text)[1:] for text in disclosures] == [["a", 1], ["d", "é"]]
    assert reveal(payload, []) == {"b": {"c": [2]}}
    assert reveal(payload, disclosures[1:]) == {"b": {"c": [2]}, "d": "é"}


def test_an_object_named_only_by_paths_below_it_is_plain() -> None:
    claims = [Claim(("address", "street"), "S"), Claim(("address", "country"), "DE", "always")]
    payload, disclosures = blind(claims, salt=salts())
    assert payload == {"address": {"country": "DE", "_sd": [digest(disclosures[0])]}}
    assert reveal(payload, []) == {"address": {"country": "DE"}}


def test_selective_below_selective_is_recursive() -> None:
    claims = [Claim(("address", "street"), "S"), Claim(("address",), {"country": "DE"})]
    payload, (street, address) = blind(claims, salt=salts())
    assert payload == {"_sd": [digest(address)]}
    assert decoded(address)[1:] == ["address", {"country": "DE", "_sd": [digest(street)]}]
    assert reveal(payload, [address]) == {"address": {"country": "DE"}}
    assert reveal(payload, [street, address]) == {"address": {"country": "DE", "street": "S"}}
    with pytest.raises(Malformed):
        reveal(payload, [street])


def test_always_below_selective_comes_with_it() -> None:
    claims = [Claim(("address",), {}), Claim(("address", "country"), "DE", "always")]
    payload, disclosures = blind(claims, salt=salts())
    assert reveal(payload, []) == {}
    assert reveal(payload, disclosures) == {"address": {"country": "DE"}}


def test_selective_below_always_takes_its_member_out() -> None:
    claims = [Claim(("a",), {"b": {"c": 1, "d": 2}}, "always"), Claim(("a", "b", "c"), 3)]
    payload, disclosures = blind(claims, salt=salts())
    assert reveal(payload, []) == {"a": {"b": {"d": 2}}}
    assert reveal(payload, disclosures) == {"a": {"b": {"d": 2, "c": 3}}}


@pytest.mark.rule("M-24")
@pytest.mark.parametrize(
    "claims",
    [
        [Claim(("_sd",), 1)],
        [Claim(("...",), 1, "always")],
        [Claim(("_sd_alg",), "md5")],
        [Claim(("a", "_sd"), 1)],
        [Claim(("a",), {"_sd": []})],
        [Claim(("a",), [{"...": "x"}], "always")],
        [Claim(("a",), {"b": [{"c": {"_sd_alg": 1}}]})],
        [Claim(("a",), {"_sd": []}), Claim(("a", "b"), 1)],
    ],
)
def test_reserved_names_are_not_issued(claims: list[Claim]) -> None:
    with pytest.raises(ValueError, match="reserved"):
        blind(claims, salt=salts())


@pytest.mark.parametrize(
    "claims",
    [
        [Claim(("a",), 1), Claim(("a",), 2)],
        [Claim(("a",), 1), Claim(("a", "b"), 2)],
        [Claim(("a",), [1]), Claim(("a", "b"), 2)],
    ],
)
def test_claims_that_contradict_each_other_are_not_issued(claims: list[Claim]) -> None:
    with pytest.raises(ValueError, match="path"):
        blind(claims, salt=salts())


@pytest.mark.rule("CR-14")
def test_every_disclosure_has_a_salt_of_its_own() -> None:
    _, disclosures = blind([Claim((name,), "same") for name in "abc"], salt=salts())
    assert len({decoded(text)[0] for text in disclosures}) == 3


NAMES = st.sampled_from(["a", "b", "c", "_x", "é"])
VALUES = st.recursive(
    st.integers() | st.text(), lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3)
)
TREES = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


@given(TREES, st.data())
def test_everything_disclosed_is_what_was_issued(tree: dict[str, Any], data: st.DataObject) -> None:
    def paths(value: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, member in value.items():
            yield (*above, name), member
            if isinstance(member, dict):
                yield from paths(member, (*above, name))

    claims = [Claim((name,), value, "always") for name, value in tree.items()]
    chosen = data.draw(st.lists(st.sampled_from(list(paths(tree))), unique_by=lambda entry: entry[0]))
    claims = [claim for claim in claims if claim.path not in [path for path, _ in chosen]]
    # A claim below another replaces its member, so the deepest come from the whole tree too.
    claims += [Claim(path, value) for path, value in chosen]
    payload, disclosures = blind(data.draw(st.permutations(claims)), salt=salts())
    assert reveal(json.loads(json.dumps(payload)), disclosures) == tree
    assert len(disclosures) == len(chosen)


A, B = disclosure("s", "a", 1), disclosure("s", "b", 2)
ELEMENT = disclosure("s", "value")


@pytest.mark.parametrize(
    ("payload", "disclosures"),
    [
        pytest.param({"_sd": [digest(A)]}, [A, A], id="repeated disclosure"),
        pytest.param({"_sd": [digest(A)]}, [A, B], id="unreferenced"),
        pytest.param({"_sd": [digest(A), digest(A)]}, [A], id="repeated digest"),
        pytest.param({"_sd": [digest(A)], "x": {"_sd": [digest(A)]}}, [A], id="digest on two levels"),
        pytest.param({"_sd": ["decoy", "decoy"]}, [], id="repeated decoy"),
        pytest.param({"_sd": [digest(A)], "a": 0}, [A], id="name in the payload"),
        pytest.param(
            {"_sd": [digest(A), digest(disclosure("t", "a", 1))]}, [A, disclosure("t", "a", 1)], id="name twice"
        ),
        pytest.param({"_sd": "x"}, [], id="_sd no array"),
        pytest.param({"_sd": None}, [], id="_sd null"),
        pytest.param({"_sd": [1]}, [], id="digest no string"),
        pytest.param({"a": {"_sd": {}}}, [], id="nested _sd no array"),
        pytest.param({"a": [{"...": "d", "k": 1}]}, [], id="placeholder with another member"),
        pytest.param({"a": [{"...": 1}]}, [], id="placeholder no string"),
        pytest.param({"...": "x"}, [], id="... as a name"),
        pytest.param({"a": {"...": "x"}}, [], id="... as a nested name"),
        pytest.param({"_sd_alg": "SHA-256"}, [], id="case of _sd_alg"),
        pytest.param({"_sd_alg": "sha-256-64"}, [], id="truncated hash"),
        pytest.param({"_sd_alg": "md5"}, [], id="weak hash"),
        pytest.param({"_sd_alg": None}, [], id="null hash"),
        pytest.param({"a": {"_sd_alg": "sha-256"}}, [], id="nested _sd_alg"),
        pytest.param({"_sd": [digest(ELEMENT)]}, [ELEMENT], id="element as member"),
        pytest.param({"a": [{"...": digest(A)}]}, [A], id="member as element"),
        *(
            pytest.param({"_sd": [digest(text)]}, [text], id=f"{name} disclosed")
            for name in ("_sd", "...", "_sd_alg")
            for text in [disclosure("s", name, [])]
        ),
        *(
            pytest.param({"_sd": [digest(text)]}, [text], id=f"shape {text}")
            for text in [
                disclosure(),
                disclosure("s"),
                disclosure("s", "a", 1, 2),
                disclosure("s", 1, 1),
                disclosure("s", None, 1),
                disclosure(1, "a", 1),
                b64(b'{"a":1}'),
                b64(b'["s","a",{"b":1,"b":2}]'),
                b64(b'["s","a",NaN]'),
                b64(b'["s","a","\\ud800"]'),
                b64(b'["s","a",' + b"1" * 65 + b"]"),
                b64(b'["s","a",' + b"[" * 40 + b"]" * 40 + b"]"),
                b64(b"\xff"),
                A + "=",
                disclosure("s", "a", "x" * 20_000),
            ]
        ),
        pytest.param({"a": 1}, ["é"], id="not ASCII"),
        pytest.param({"a": 1}, [""], id="empty"),
        pytest.param({"a": 1}, [disclosure(str(i), str(i), 1) for i in range(257)], id="too many"),
    ],
)
def test_what_must_not_be_processed(payload: dict[str, Any], disclosures: list[str]) -> None:
    with pytest.raises(Malformed):
        reveal(payload, disclosures)


def test_disclosures_nest_only_so_deep() -> None:
    def nested(depth: int) -> tuple[dict[str, Any], list[str]]:
        disclosures = [disclosure("s", "a", 1)]
        for _ in range(depth - 1):
            disclosures.append(disclosure("s", "a", {"_sd": [digest(disclosures[-1])]}))
        return {"_sd": [digest(disclosures[-1])]}, disclosures

    assert reveal(*nested(31))
    for depth in (32, 250):
        with pytest.raises(Malformed, match="deeply"):
            reveal(*nested(depth))


def test_white_space_in_a_disclosure_counts_for_the_digest_only() -> None:
    spaced = b64(b'[ "s" , "a",\n1 ]')
    assert reveal({"_sd": [digest(spaced)]}, [spaced]) == {"a": 1}


def test_elements_not_disclosed_are_left_out() -> None:
    payload = {"a": [{"...": digest(ELEMENT)}, {"...": "decoy"}, 1, {"b": 2}]}
    assert reveal(payload, []) == {"a": [1, {"b": 2}]}
    assert reveal(payload, [ELEMENT]) == {"a": ["value", 1, {"b": 2}]}
