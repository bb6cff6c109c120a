"""Claims path pointers: the specification's own example, its errors, and how much work one may cause."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.formats.sd_jwt import digest_of, reveal
from app.protocol import base64url
from app.protocol.claims_path import select
from app.protocol.jose import json_octets
from app.protocol.strict_json import Malformed

# OpenID4VP §7.3
ARTHUR: dict[str, Any] = {
    "name": "Arthur Dent",
    "address": {"street_address": "42 Market Street", "locality": "Milliways", "postal_code": "12345"},
    "degrees": [
        {"type": "Bachelor of Science", "university": "University of Betelgeuse"},
        {"type": "Master of Science", "university": "University of Betelgeuse"},
    ],
    "nationalities": ["British", "Betelgeusian"],
}


@pytest.mark.parametrize(
    ("path", "selected"),
    [
        (["name"], ["Arthur Dent"]),
        (["address"], [ARTHUR["address"]]),
        (["address", "street_address"], ["42 Market Street"]),
        (["degrees", None, "type"], ["Bachelor of Science", "Master of Science"]),
        (["nationalities", 1], ["Betelgeusian"]),
        (["nationalities", None], ["British", "Betelgeusian"]),
    ],
)
def test_the_examples_of_the_specification(path: list[str | int | None], selected: list[Any]) -> None:
    assert select(ARTHUR, path) == selected


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}])
def test_an_empty_value_is_a_value(value: Any) -> None:
    assert select({"a": value}, ["a"]) == [value]


DROPS = [
    pytest.param([{"b": 1}, {"c": 2}, {"b": 3}], [None, "b"], [1, 3], marks=pytest.mark.rule("CP-01")),
    pytest.param([[1], [2, 3], []], [None, 1], [3], marks=pytest.mark.rule("CP-03")),
    pytest.param([[1, 2], [], [3]], [None, None], [1, 2, 3], marks=pytest.mark.rule("CP-02")),
]


@pytest.mark.parametrize(("elements", "path", "selected"), DROPS)
def test_what_an_element_does_not_have_drops_the_element(
    elements: list[Any], path: list[str | int | None], selected: list[Any]
) -> None:
    assert select({"a": elements}, ["a", *path]) == selected


@pytest.mark.parametrize(
    ("claims", "path"),
    [
        pytest.param({"a": [{"b": 1}, "text"]}, ["a", None, "b"], marks=pytest.mark.rule("CP-01")),
        ({"a": ["x"]}, ["a", "0"]),
        ({"a": ["x"]}, ["a", "length"]),
        ({"a": "text"}, ["a", "b"]),
        pytest.param({"a": {"b": 1}}, ["a", None], marks=pytest.mark.rule("CP-02")),
        pytest.param({"a": [[1], "text"]}, ["a", None, None], marks=pytest.mark.rule("CP-02")),
        ({"a": "text"}, ["a", None]),
        ({"a": {"0": 1}}, ["a", 0]),
        ({"a": "text"}, ["a", 0]),
        pytest.param({"a": [[1], "text"]}, ["a", None, 0], marks=pytest.mark.rule("CP-03")),
        pytest.param({"a": ["x", "y"]}, ["a", -1], marks=pytest.mark.rule("CP-03")),
        pytest.param({"a": ["x", "y"]}, ["a", 1.0], marks=pytest.mark.rule("CP-03")),
        pytest.param({"a": ["x", "y"]}, ["a", True], marks=pytest.mark.rule("CP-05")),
        pytest.param({"a": ["x", "y"]}, ["a", False], marks=pytest.mark.rule("CP-05")),
        ({"a": 1}, ["a", ["b"]]),
        ({"a": 1}, []),
    ],
)
def test_a_path_that_does_not_fit_is_an_error(claims: dict[str, Any], path: list[Any]) -> None:
    with pytest.raises(Malformed):
        select(claims, path)


@pytest.mark.rule("CP-04")
@pytest.mark.parametrize(
    ("claims", "path"),
    [(ARTHUR, ["degrees", None, "nope"]), (ARTHUR, ["nationalities", 2]), (ARTHUR, ["nope"]), ({"a": []}, ["a", None])],
)
def test_an_empty_selection_is_an_error(claims: dict[str, Any], path: list[str | int | None]) -> None:
    with pytest.raises(Malformed):
        select(claims, path)


@pytest.mark.rule("CP-07")
def test_an_index_counts_what_was_disclosed() -> None:
    disclosures = [base64url.encode(json_octets([f"salt-{element}", element])) for element in ("DE", "FR", "PL")]
    payload = {"nationalities": [{"...": digest_of(disclosure)} for disclosure in disclosures]}
    shown = reveal(payload, disclosures[1:])
    assert select(shown, ["nationalities", 0]) == ["FR"]
    with pytest.raises(Malformed):
        select(shown, ["nationalities", 2])


class Counted(list[Any]):
    """An array that counts how many of its elements are looked at."""

    looked_at = 0

    def __iter__(self) -> Iterator[Any]:
        for element in super().__iter__():
            Counted.looked_at += 1
            yield element


@pytest.mark.rule("CP-08", "J-05")
@pytest.mark.parametrize(
    ("claims", "path"),
    [
        ({"a": Counted(range(100_000))}, ["a", None]),
        ({"a": Counted([Counted(range(200))] * 200)}, ["a", None, None]),
        ({"a": Counted([Counted([Counted(["x"] * 100)] * 100)] * 100)}, ["a", None, None, None, "b"]),
    ],
)
def test_a_path_looks_at_ten_thousand_elements_at_most(claims: dict[str, Any], path: list[str | int | None]) -> None:
    Counted.looked_at = 0
    with pytest.raises(Malformed, match="visits too much"):
        select(claims, path)
    assert Counted.looked_at <= 10_001


@pytest.mark.rule("CP-08")
def test_ten_thousand_elements_are_not_too_many() -> None:
    # The array itself is one of them.
    assert len(select({"a": list(range(9_999))}, ["a", None])) == 9_999
