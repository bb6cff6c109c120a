import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.strict_json import Malformed, parse, parse_object

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_read_as_it_was_meant(value: Any) -> None:
    assert parse(json.dumps(value)) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.rule("O-03", "E-10", "E-16")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{}{}",
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"\\u0062":2}}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"1" * 65,
        b"0." + b"1" * 64,
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        b"\xff",
        '{"a":1}'.encode("utf-16"),
        b"[" * 33 + b"]" * 33,
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b"[" * 100_000,
        b"'a'",
        b'"a\nb"',
        b'"a\\x"',
        b"[1,]",
        b"// c\n1",
        "\ud800",
    ],
)
def test_malformed_json_is_refused(data: bytes | str) -> None:
    with pytest.raises(Malformed):
        parse(data)


def test_limits_are_reached_not_exceeded() -> None:
    assert parse(b"[" * 32 + b"]" * 32)
    assert parse(b"1" * 64) == int("1" * 64)
    assert parse('"\\ud83d\\ude00"') == "😀"
    # Brackets in strings do not nest, whatever is escaped before them.
    assert parse(json.dumps(["[{" * 100, '\\"[[', "\\"])) == ["[{" * 100, '\\"[[', "\\"]


def test_depth_is_counted_in_linear_time() -> None:
    with pytest.raises(Malformed):
        parse('["' + '\\"[' * 300_000)


@pytest.mark.parametrize("data", ["[]", "1", '"a"', "null"])
def test_an_object_is_an_object(data: str) -> None:
    with pytest.raises(Malformed):
        parse_object(data)
