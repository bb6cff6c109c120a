from typing import Any

import pytest

from app.formats import key_binding, sd_jwt_vc_verification
from app.protocol import claims, dpop, key_proof, token
from app.protocol.claims import ClaimTable, judge_shape, judge_times, numeric_date, text
from app.protocol.strict_json import Malformed

NOW = 1_800_000_000
REGISTERED = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})
"""The registered claims of RFC 7519 §4.1."""

TABLE = ClaimTable(required={"iat": numeric_date}, optional={"s": text(max_length=3)}, ignored=REGISTERED)
TABLES = {
    "dpop": dpop.CLAIMS,
    "key proof": key_proof.CLAIMS,
    "credential": sd_jwt_vc_verification.CLAIMS,
    "key binding": key_binding.CLAIMS,
    "access token": token.ACCESS_TOKEN_CLAIMS,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_registered_claim_stands_in_exactly_one_list(table: ClaimTable) -> None:
    listed = [*table.required, *table.optional, *table.ignored]
    assert set(listed) >= REGISTERED
    assert len(listed) == len(set(listed))


@pytest.mark.rule("E-16", "D-05")
@pytest.mark.parametrize("value", ["1", "", None, True, False, -1, 1e300, float("nan"), float("inf"), [1], {}, 10**20])
def test_what_is_no_numeric_date(value: object) -> None:
    assert not numeric_date(value)


@pytest.mark.parametrize("value", [0, 1, 1.5, NOW, NOW + 0.999])
def test_what_is_a_numeric_date(value: object) -> None:
    assert numeric_date(value)


@pytest.mark.parametrize(
    "payload", [{}, {"iat": "1"}, {"iat": NOW, "s": ""}, {"iat": NOW, "s": "1234"}, {"iat": 1, "s": 1}]
)
def test_shapes_that_are_wrong(payload: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        judge_shape(payload, TABLE)


@pytest.mark.parametrize("payload", [{"iat": NOW}, {"iat": NOW, "s": "123"}, {"iat": NOW, "exp": "x", "unknown": {}}])
def test_shapes_that_are_right(payload: dict[str, Any]) -> None:
    judge_shape(payload, TABLE)


@pytest.mark.rule("G-13")
@pytest.mark.parametrize(
    ("payload", "right"),
    [
        ({"iat": NOW}, True),
        ({"iat": NOW - 100}, True),
        ({"iat": NOW - 101}, False),
        ({"iat": NOW - 100.5}, False),
        ({"iat": NOW + 10}, True),
        ({"iat": NOW + 60}, True),
        ({"iat": NOW + 61}, False),
        ({"iat": NOW, "exp": NOW + 1}, True),
        ({"iat": NOW, "exp": NOW}, False),
        ({"iat": NOW, "nbf": NOW + 60}, True),
        ({"iat": NOW, "nbf": NOW + 61}, False),
    ],
)
def test_times(payload: dict[str, Any], right: bool) -> None:
    try:
        judge_times(payload, now=NOW, max_age=100)
    except Malformed:
        assert not right
    else:
        assert right


def test_skew_is_what_the_rule_says() -> None:
    assert 10 <= claims.CLOCK_SKEW <= 60
