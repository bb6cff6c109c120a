"""YAML text to plain values: how scalars resolve, what is refused, and where everything is."""

import json

import pytest

from app.document.problem import Position
from app.document.source import MAX_DEPTH, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("08", "08"),
        ("0123", "0123"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-31", "2024-01-31"),
        ("1.2.3", "1.2.3"),
        ("0b11", "0b11"),
        ("=", "="),
        ("<<", "<<"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("|\n  12\n", "12\n"),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-12", -12),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("~", None),
        ("", None),
        ("Null", None),
    ],
)
def test_scalars_resolve_by_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    source = parse(f"a: {text}".encode())
    assert source.findings == []
    assert source.tree == {"a": value}
    assert type(source.tree["a"]) is type(value)


def test_a_name_is_the_text_that_is_written() -> None:
    assert parse(b"18: a\ntrue: b\nno: c\n").tree == {"18": "a", "true": "b", "no": "c"}


def test_json_is_read_as_json() -> None:
    value = {"a": [1, 2.5, True, None, "x\ny"], "b": {"ü": {}}, "c": []}
    for indent in (None, 2):
        source = parse(json.dumps(value, indent=indent, ensure_ascii=False).encode())
        assert source.tree == value
        assert source.findings == []


def test_everything_has_its_place() -> None:
    source = parse(b"# comment\na:\n  - x\n  - {b: 1, c: [2]}\nd: 3\n")
    assert source.positions == {
        (): Position(2, 1),
        ("a",): Position(2, 1),
        ("a", 0): Position(3, 5),
        ("a", 1): Position(4, 5),
        ("a", 1, "b"): Position(4, 6),
        ("a", 1, "c"): Position(4, 12),
        ("a", 1, "c", 0): Position(4, 16),
        ("d",): Position(5, 1),
    }


REFUSED: list[tuple[bytes, tuple[str | int, ...], Position, str]] = [
    (b"", (), Position(1, 1), "The document is empty."),
    (b"# nothing\n", (), Position(1, 1), "The document is empty."),
    (b"a: 1\n---\nb: 2\n", (), Position(2, 1), "A second document begins here."),
    (b"a: 1\nb: \xff\n", (), Position(2, 1), "The document is not UTF-8 text."),
    (b"a: 1\nb: x\x07\n", (), Position(2, 5), "The character U+0007 cannot stand in a document."),
    (b"a: 1\na: 2\n", ("a",), Position(2, 1), "`a` is given twice."),
    (b"x:\n  a: 1\n  'a': 2\n", ("x", "a"), Position(3, 3), "`a` is given twice."),
    (b"a: &x 1\n", ("a",), Position(1, 1), "Anchors and aliases are not allowed."),
    (b"a: 1\nb: *x\n", ("b",), Position(2, 1), "Anchors and aliases are not allowed."),
    (b"a: !!python/object:os.system {}\n", ("a",), Position(1, 1), "Tags are not allowed."),
    (b"a: !!str 1\n", ("a",), Position(1, 1), "Tags are not allowed."),
    (b"? [a]\n: b\n", (), Position(1, 3), "A name must be text."),
    (b"a: .inf\n", ("a",), Position(1, 1), "Infinity and not-a-number cannot be used."),
    (b"a: .nan\n", ("a",), Position(1, 1), "Infinity and not-a-number cannot be used."),
    (b"a: 1e999\n", ("a",), Position(1, 1), "The number is too large to be kept exactly."),
    (b"a: " + b"9" * 9000, ("a",), Position(1, 1), "The number is too large to be kept exactly."),
    (b"a: 9007199254740992\n", ("a",), Position(1, 1), "The number is too large to be kept exactly."),
    (b"a: b\n c: d\n", (), Position(2, 3), "This is not valid YAML: mapping values are not allowed in this context."),
    (b"a: [1, 2", (), Position(2, 1), "This is not valid YAML: did not find expected ',' or ']'."),
    (b"[" * 100_000, (0,) * 33, Position(1, 34), f"The document is nested deeper than {MAX_DEPTH} levels."),
    (b"a: " + b" " * 2**20, (), Position(1, 1), "The document is larger than 1048576 octets."),
]


@pytest.mark.parametrize(("data", "path", "position", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused_text(data: bytes, path: tuple[str | int, ...], position: Position, message: str) -> None:
    source = parse(data)
    assert [(finding.path, finding.message) for finding in source.findings] == [(path, message)]
    assert source.positions[path] == position


def test_the_deepest_document_that_is_accepted() -> None:
    assert parse(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)).findings == []


def test_everything_refused_is_found_at_once() -> None:
    source = parse(b"a: 1\na: 2\nb: *x\nc: !t 1\nd: .inf\n")
    assert [finding.path for finding in source.findings] == [("a",), ("b",), ("c",), ("d",)]
    assert source.tree["a"] == 1
