"""What is written is read back as it was."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.document.reader import read
from app.document.source import parse
from app.document.writer import dump
from tests.document.test_reader import CONFIG

LOOKS_LIKE = ["no", "on", "1:30", "2030-01-01", "1e3", "0o17", "0x1f", "08", "1_000", "~", "null", "true", ".5", ".inf"]
ODD = ["", " ", "=", "<<", "- a", "a: b", "a #b", "&a", "*a", "!a", "a\n", "\na", " a\nb", "a\r\n", "\t\n"]
texts = st.text(max_size=20) | st.sampled_from(LOOKS_LIKE + ODD)
trees = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e300, 1e300) | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=10,
    ),
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(trees)
def test_any_values(tree: dict[str, Any]) -> None:
    if not is_readable(tree):
        return
    again = parse(dump(tree).encode())
    assert again.findings == []
    assert msgspec.json.encode(again.tree) == msgspec.json.encode(tree)


def is_readable(tree: Any) -> bool:
    """Whether a document can hold it: no number whose whole part is beyond 2**53."""
    if isinstance(tree, dict):
        return all(map(is_readable, tree.values()))
    if isinstance(tree, list):
        return all(map(is_readable, tree))
    return not isinstance(tree, float) or abs(tree) < 2**53


@pytest.mark.parametrize("text", LOOKS_LIKE)
def test_text_stays_text(text: str) -> None:
    assert parse(dump({"a": text, text: [text]}).encode()).tree == {"a": text, text: [text]}


def test_certificates_are_written_line_by_line() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert dump({"anchors": [pem]}).splitlines()[1:] == [
        "- |",
        "  -----BEGIN CERTIFICATE-----",
        "  MIIB",
        "  -----END CERTIFICATE-----",
    ]


def test_what_occurs_twice_is_written_twice() -> None:
    twice = {"a": [1]}
    assert parse(dump({"x": twice, "y": twice}).encode()).findings == []


@pytest.mark.parametrize("tenant", CONFIG)
def test_a_whole_document(tenant: str) -> None:
    document = read(CONFIG[tenant]).document
    text = dump(msgspec.to_builtins(document))
    assert read(text.encode()).document == document
    assert max(map(len, text.splitlines())) <= 130
