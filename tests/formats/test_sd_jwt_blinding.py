"""Making digests of claims (RFC 9901 §4.2): what an issuer signs, and what it discloses."""

import base64
import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats.sd_jwt import reveal
from app.formats.sd_jwt_blinding import blind
from app.protocol.strict_json import Malformed
from tests.protocol.jwts import b64
from tests.support.presented import digest


class Claim(NamedTuple):
    path: tuple[str, ...]
    value: Any
    disclosure: Literal["selective", "always"] = "selective"


def salts() -> Callable[[], str]:
    numbers: Iterator[int] = count()
    return lambda: b64(next(numbers).to_bytes(16, "big"))


def decoded(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@pytest.mark.rule("IS-08")
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


@pytest.mark.rule("M-24", "IS-12")
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


@pytest.mark.rule("CR-14", "IS-07")
def test_every_disclosure_has_a_salt_of_its_own() -> None:
    claims = [Claim(("a",), {}), Claim(("a", "b"), "same"), Claim(("c", "d"), "same"), Claim(("e",), "same")]
    _, disclosures = blind(claims, salt=salts())
    assert len({decoded(text)[0] for text in disclosures}) == len(claims)


NAMES = st.sampled_from(["a", "b", "c", "_x", "é"])
VALUES = st.recursive(
    st.integers() | st.text(), lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3)
)
TREES = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


@pytest.mark.rule("IS-23")
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
