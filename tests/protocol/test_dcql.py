"""DCQL: whether claims, a type, an authority and a set of credentials satisfy a query."""

from collections.abc import Iterable
from typing import Any

import pytest

from app.protocol import base64url
from app.protocol.dcql import (
    CredentialQuery,
    Query,
    claims_to_show,
    credentials_to_show,
    is_by_authority,
    is_of_type,
    read_query,
)

PID: dict[str, Any] = {"given_name": "Erika", "age": 41, "over_18": True, "nationalities": ["DE", "FR"], "gone": None}


def credential(**members: Any) -> dict[str, Any]:
    return {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1", "urn:pid:2"]}, **members}


def asked(**members: Any) -> CredentialQuery:
    return read_query({"credentials": [credential(**members)]}).credentials[0]


def claim(name: str, *values: Any) -> dict[str, Any]:
    return {"id": name, "path": [name], **({"values": list(values)} if values else {})}


@pytest.mark.rule("DE-10")
def test_without_claims_every_credential_will_do_and_none_is_shown() -> None:
    assert claims_to_show(asked(), PID) == []
    assert claims_to_show(asked(), {}) == []


@pytest.mark.rule("DE-08", "J-01")
def test_all_claims_are_asked_for() -> None:
    query = asked(claims=[claim("given_name"), claim("age")])
    assert claims_to_show(query, PID) == [["given_name"], ["age"]]
    assert claims_to_show(query, {"given_name": "Erika"}) is None
    assert claims_to_show(query, {"age": 41}) is None
    assert claims_to_show(query, {}) is None


A, B, C = claim("given_name"), claim("age"), claim("over_18")


@pytest.mark.rule("DE-09", "J-01")
@pytest.mark.parametrize(
    ("held", "shown"),
    [
        (["given_name", "age", "over_18"], [["given_name"], ["age"]]),
        (["given_name", "age"], [["given_name"], ["age"]]),
        (["over_18"], [["over_18"]]),
        # Half of one set is none.
        (["given_name"], None),
        (["age"], None),
        ([], None),
    ],
)
def test_one_whole_claim_set_will_do(held: Iterable[str], shown: list[list[str]] | None) -> None:
    query = asked(claims=[A, B, C], claim_sets=[["given_name", "age"], ["over_18"]])
    assert claims_to_show(query, {name: PID[name] for name in held}) == shown


@pytest.mark.rule("DE-09")
def test_halves_of_two_claim_sets_are_no_whole() -> None:
    query = asked(claims=[A, B, C, claim("gone")], claim_sets=[["given_name", "age"], ["over_18", "gone"]])
    assert claims_to_show(query, {"given_name": "Erika", "over_18": True}) is None


@pytest.mark.rule("DE-11", "J-04", "AG-20")
@pytest.mark.parametrize(
    ("value", "values", "satisfied"),
    [
        ("DE", ["DE"], True),
        ("FR", ["DE", "FR"], True),
        ("de", ["DE"], False),
        ("DE ", ["DE"], False),
        ("é", ["e\u0301"], False),
        (1, [1], True),
        ("1", [1], False),
        (1, ["1"], False),
        (True, [True], True),
        (False, [False], True),
        (True, [False], False),
        (True, [1], False),
        (1, [True], False),
        (0, [False], False),
        (False, [0], False),
        ("true", [True], False),
        # JSON has one kind of number (RFC 8259 §6).
        (1.0, [1], True),
        (1.0, [True], False),
        (1.5, [1], False),
        (2**53 + 1, [2**53], False),
        (None, [0, False, "null"], False),
        (["DE"], ["DE"], False),
        ({"DE": 1}, ["DE"], False),
    ],
)
def test_values_are_compared_by_type_and_value(value: Any, values: list[Any], satisfied: bool) -> None:
    query = asked(claims=[claim("country", *values)])
    assert (claims_to_show(query, {"country": value}) == [["country"]]) is satisfied
    assert (claims_to_show(query, {"country": value}) is None) is not satisfied


@pytest.mark.parametrize(("value", "satisfied"), [("DE", True), ("FR", True), ("PL", False)])
def test_of_several_elements_one_has_to_have_the_value(value: str, satisfied: bool) -> None:
    query = asked(claims=[{"path": ["nationalities", None], "values": [value]}])
    assert (claims_to_show(query, PID) is not None) is satisfied


@pytest.mark.rule("DE-05", "DE-06", "J-03")
@pytest.mark.parametrize(
    ("credential_format", "vct", "fits"),
    [
        ("dc+sd-jwt", "urn:eudi:pid:1", True),
        ("dc+sd-jwt", "urn:pid:2", True),
        ("dc+sd-jwt", "urn:eudi:pid:2", False),
        ("dc+sd-jwt", "urn:eudi:pid:1:de", False),
        ("dc+sd-jwt", "", False),
        ("vc+sd-jwt", "urn:eudi:pid:1", False),
        ("mso_mdoc", "urn:eudi:pid:1", False),
    ],
)
def test_format_and_type(credential_format: str, vct: str, fits: bool) -> None:
    assert is_of_type(asked(), credential_format=credential_format, vct=vct) is fits


KEY_ID, OTHER_KEY_ID = bytes(range(20)), bytes(range(1, 21))


def aki(*key_ids: bytes) -> dict[str, Any]:
    return {"type": "aki", "values": [base64url.encode(key_id) for key_id in key_ids]}


@pytest.mark.rule("DE-13", "DE-14", "J-04")
@pytest.mark.parametrize(
    ("authorities", "chain", "fits"),
    [
        (None, [], True),
        ([aki(KEY_ID)], [KEY_ID], True),
        ([aki(KEY_ID)], [OTHER_KEY_ID, KEY_ID], True),
        ([aki(OTHER_KEY_ID, KEY_ID)], [KEY_ID], True),
        ([aki(OTHER_KEY_ID), aki(KEY_ID)], [KEY_ID], True),
        ([aki(KEY_ID)], [OTHER_KEY_ID], False),
        ([aki(KEY_ID)], [KEY_ID[:-1]], False),
        ([aki(KEY_ID)], [], False),
        ([{**aki(KEY_ID), "type": "openid_federation"}], [KEY_ID], False),
    ],
)
def test_authorities(authorities: list[dict[str, Any]] | None, chain: list[bytes], fits: bool) -> None:
    query = asked(**({"trusted_authorities": authorities} if authorities else {}))
    assert is_by_authority(query, frozenset(chain)) is fits


def credentials(*ids: str, sets: list[dict[str, Any]] | None = None) -> Query:
    return read_query(
        {"credentials": [credential(id=each) for each in ids], **({"credential_sets": sets} if sets else {})}
    )


@pytest.mark.rule("DE-01", "J-01")
@pytest.mark.parametrize(("available", "shown"), [("ab", ["a", "b"]), ("abc", ["a", "b"]), ("a", None), ("", None)])
def test_without_sets_all_credentials_are_needed(available: str, shown: list[str] | None) -> None:
    assert credentials_to_show(credentials("a", "b"), set(available)) == shown


SETS: list[dict[str, Any]] = [
    {"options": [["a"], ["b", "c"]]},
    {"options": [["d"], ["a", "b"]], "required": True},
    {"options": [["e"]], "required": False},
]


@pytest.mark.rule("DE-02", "J-01")
@pytest.mark.parametrize(
    ("available", "shown"),
    [
        ("ad", ["a", "d"]),
        ("ab", ["a", "b"]),
        ("abcde", ["a", "d"]),
        ("bcd", ["b", "c", "d"]),
        # Half of an option is none; one set is not the other; an optional set counts for nothing.
        ("bd", None),
        ("a", None),
        ("bc", None),
        ("de", None),
        ("e", None),
        ("", None),
    ],
)
def test_of_each_required_set_one_whole_option_is_needed(available: str, shown: list[str] | None) -> None:
    assert credentials_to_show(credentials(*"abcde", sets=SETS), set(available)) == shown


def test_where_every_set_is_optional_nothing_is_needed() -> None:
    assert credentials_to_show(credentials("a", sets=[{"options": [["a"]], "required": False}]), set()) == []


class Counted(set[str]):
    """A set that counts the questions it is asked."""

    asked = 0

    def __contains__(self, element: object) -> bool:
        Counted.asked += 1
        return super().__contains__(element)


@pytest.mark.rule("J-05")
def test_the_work_for_sets_is_their_size() -> None:
    ids = [f"c{number}" for number in range(16)]
    # No set is satisfied before the last option of each, and the last set never.
    late: dict[str, Any] = {"options": [[*ids[:15], "c15"]] * 15 + [ids[:15]]}
    never: dict[str, Any] = {"options": [ids] * 16}
    query = credentials(*ids, sets=[late] * 15 + [never])
    Counted.asked = 0
    assert credentials_to_show(query, Counted(ids[:15])) is None
    assert Counted.asked <= 16 * 16 * 16
