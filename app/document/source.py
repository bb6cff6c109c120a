"""YAML (and JSON, which is YAML) text to plain values, with the place of each.

Scalars resolve by the core schema of YAML 1.2 (§10.3.2), so `no`, `on`, `1:30` and dates are text. One departure: a
number with leading zeros is text, because `08` is a postal code and not a quantity. Aliases, anchors, tags and
repeated names are refused: a document is read by people, and none of them can make it large.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml
from msgspec import Struct

from app.document.problem import Finding, Path, Position

MAX_OCTETS: Final = 1024 * 1024
MAX_DEPTH: Final = 32
_MAX_INTEGER: Final = 2**53 - 1

_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NULL: Final = re.compile(r"~|null|Null|NULL|")
_TRUE: Final = re.compile(r"true|True|TRUE")
_FALSE: Final = re.compile(r"false|False|FALSE")
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_PREFIXED_INTEGER: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class Source(Struct, frozen=True):
    """A document as plain values (None where nothing was readable), where each is, what was wrong with the text."""

    tree: Any
    positions: dict[Path, Position]
    findings: list[Finding]


def parse(data: bytes) -> Source:
    """Read one YAML or JSON document; what is wrong with it is in the findings, nothing is raised."""
    if len(data) > MAX_OCTETS:
        return _unreadable(Position(1, 1), f"The document is larger than {MAX_OCTETS} octets.", "Split or shorten it.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _unreadable(Position(line, 1), "The document is not UTF-8 text.", "Save it as UTF-8.")
    if unprintable := _UNPRINTABLE.search(text):
        start = unprintable.start()
        position = Position(text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        return _unreadable(
            position,
            f"The character U+{ord(unprintable.group()):04X} cannot stand in a document.",
            "Remove it, or write it as an escape in double quotes.",
        )
    return _Parser(text).parse()


def is_plain_text(text: str) -> bool:
    """Whether a plain scalar that is written like this is text."""
    others = (_NULL, _TRUE, _FALSE, _NOT_FINITE, _PREFIXED_INTEGER, _INTEGER, _FLOAT)
    return not any(pattern.fullmatch(text) for pattern in others)


def _unreadable(position: Position, message: str, hint: str) -> Source:
    return Source(None, {(): position}, [Finding((), message, hint)])


class _Unreadable(Exception):
    """Reading cannot go on."""


class _Parser:
    """Builds plain values from the events of the YAML parser; depth is bounded while they arrive."""

    def __init__(self, text: str) -> None:
        # The parser in C: twenty times as fast on the largest document that is accepted.
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._positions: dict[Path, Position] = {}
        self._findings: list[Finding] = []

    def parse(self) -> Source:
        try:
            return Source(self._document(), self._positions, self._findings)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            position = _position(mark) if mark else Position(1, 1)
            hint = "Check indentation, quotes, brackets and escapes here and in the line before."
            return _unreadable(position, f"This is not valid YAML: {error.problem}.", hint)
        except _Unreadable:
            return Source(None, self._positions, self._findings)

    def _document(self) -> Any:
        next(self._events)  # the stream begins
        if isinstance(next(self._events), yaml.StreamEndEvent):
            self._positions[()] = Position(1, 1)
            self._refuse((), "The document is empty.", "Begin with `schema: vestibule.tenant/1`.")
            raise _Unreadable
        tree = self._value(next(self._events), (), None)
        next(self._events)  # the document ends
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            self._positions[()] = _position(following.start_mark)
            self._refuse((), "A second document begins here.", "Keep one document in one file.")
        return tree

    def _value(self, event: Any, path: Path, name_at: Position | None) -> Any:
        """Build the value that begins with `event`; its place is that of its name, if it has one."""
        self._positions[path] = name_at or _position(event.start_mark)
        if len(path) > MAX_DEPTH:
            self._refuse(path, f"The document is nested deeper than {MAX_DEPTH} levels.", "Make it flatter.")
            raise _Unreadable
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse(path, "Anchors and aliases are not allowed.", "Write the value out.")
        elif event.tag is not None:
            self._refuse(
                path, "Tags are not allowed.", "Leave the tag out; text that looks like a number goes in quotes."
            )
        match event:
            case yaml.MappingStartEvent():
                return self._mapping(path)
            case yaml.SequenceStartEvent():
                return self._sequence(path)
            case yaml.ScalarEvent(implicit=(True, _)):
                return self._plain_scalar(event.value, path)
            case yaml.ScalarEvent():
                return event.value
        return None

    def _mapping(self, path: Path) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            position = _position(key.start_mark)
            if not isinstance(key, yaml.ScalarEvent):
                self._positions[path] = position
                self._refuse(path, "A name must be text.", "Write `name: value`.")
                raise _Unreadable
            # A name is the text that is written, whatever it looks like: `18: true` has the name "18".
            value = self._value(next(self._events), (*path, key.value), position)
            if key.value in members:
                self._refuse((*path, key.value), f"`{key.value}` is given twice.", "Keep one of them.")
            members.setdefault(key.value, value)
        return members

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), None))
        return items

    def _plain_scalar(self, text: str, path: Path) -> Any:
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text):
            return True
        if _FALSE.fullmatch(text):
            return False
        if _NOT_FINITE.fullmatch(text):
            self._refuse(path, "Infinity and not-a-number cannot be used.", "Give a number, or text in quotes.")
            return None
        if _PREFIXED_INTEGER.fullmatch(text):
            return self._number(int(text, 0) if len(text) < 32 else _MAX_INTEGER + 1, path)
        if _INTEGER.fullmatch(text):
            return self._number(int(text) if len(text) < 32 else _MAX_INTEGER + 1, path)
        if _FLOAT.fullmatch(text):
            return self._number(float(text), path)
        return text

    def _number(self, number: int | float, path: Path) -> int | float | None:
        # RFC 7493 §2.2: larger ones do not survive every JSON reader.
        if abs(number) > _MAX_INTEGER:
            self._refuse(path, "The number is too large to be kept exactly.", "Put it in quotes to keep it as text.")
            return None
        return number

    def _refuse(self, path: Path, message: str, hint: str) -> None:
        self._findings.append(Finding(path, message, hint))


def _position(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)
