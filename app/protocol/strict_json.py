"""Strict JSON (RFC 8259, RFC 7493 I-JSON): what two parsers could read differently is refused."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

_MAX_NUMBER_LENGTH = 64
# A string, taken whole so that brackets inside it do not count, or a bracket. Every alternative matches in linear
# time, an unterminated string included.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.?)*+"?|[\[{\]}]', re.DOTALL)


class Malformed(ValueError):
    """The input is not of the shape its specification gives it. The message holds no part of the input."""


def parse(data: bytes | str, *, max_depth: int = 32) -> Any:
    """Return the value of one JSON text.

    Raises `Malformed` for anything but strict UTF-8 JSON: byte order mark, repeated member, NaN and infinities,
    numbers of more than 64 characters or beyond a double's range, lone surrogates, more than `max_depth` nested
    arrays and objects.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        _check_depth(text, max_depth)
        value = _DECODER.decode(text)
        # Escapes can spell half a surrogate pair; such a string cannot be stored, hashed or sent again.
        (json.dumps(value, ensure_ascii=False) if "\\u" in text else text).encode("utf-8")
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    return value


def parse_object(data: bytes | str, *, max_depth: int = 32) -> dict[str, Any]:
    """Return the members of one JSON object; raises `Malformed` as `parse` does."""
    value = parse(data, max_depth=max_depth)
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value


def _check_depth(text: str, max_depth: int) -> None:
    # Before parsing: the parser recurses.
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        token = match[0]
        if token in ("[", "{"):
            depth += 1
            if depth > max_depth:
                raise Malformed("JSON nested too deeply")
        elif token in ("]", "}"):
            depth -= 1


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("JSON object with a repeated member")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise Malformed("JSON number that is not finite")


def _integer(literal: str) -> int:
    _check_number_length(literal)
    return int(literal)


def _real(literal: str) -> float:
    _check_number_length(literal)
    value = float(literal)
    if not math.isfinite(value):
        raise Malformed("JSON number out of range")
    return value


def _check_number_length(literal: str) -> None:
    if len(literal) > _MAX_NUMBER_LENGTH:
        raise Malformed("JSON number too long")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_real
)
