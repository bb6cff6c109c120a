"""Claim tables: the claims of one JWT kind and their types, judged by one engine.

Every claim that RFC 7519 or the kind's own specification names stands in one of the table's lists, so that what is
not judged was left out on purpose. Other claims are ignored (RFC 7519 §4).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from app.protocol.strict_json import Malformed

Check = Callable[[object], bool]

CLOCK_SKEW: Final = 60
"""Seconds by which the clock of another party may be ahead of ours (G-13)."""
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31, the last that calendars agree on


class ClaimTable(Struct, frozen=True, kw_only=True):
    """The claims of one JWT kind."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check]
    ignored: frozenset[str]
    """Named by a specification and without meaning here."""


def judge_shape(payload: Mapping[str, Any], table: ClaimTable) -> None:
    """Judge presence and type of every claim of the table. Raises `Malformed` with the name of the first wrong one."""
    for name, check in table.required.items():
        if name not in payload:
            raise Malformed(f"{name} is missing")
        if not check(payload[name]):
            raise Malformed(f"{name} is malformed")
    for name, check in table.optional.items():
        if name in payload and not check(payload[name]):
            raise Malformed(f"{name} is malformed")


def judge_times(payload: Mapping[str, Any], *, now: int, max_age: int, max_ahead: int = CLOCK_SKEW) -> None:
    """Judge `iat`, and `exp` and `nbf` where present, of a payload whose shape is right. Raises `Malformed`.

    `iat` lies between `max_age` seconds ago and `max_ahead` seconds from now. `exp` gets no tolerance: whoever made
    the JWT chose it.
    """
    if not now - max_age <= payload["iat"] <= now + max_ahead:
        raise Malformed("iat is out of the window")
    # RFC 7519 §4.1.4, §4.1.5
    if "exp" in payload and payload["exp"] <= now:
        raise Malformed("exp has passed")
    if "nbf" in payload and payload["nbf"] > now + max_ahead:
        raise Malformed("nbf is in the future")


def text(*, max_length: int) -> Check:
    """Return a check for a string of 1 to `max_length` characters."""
    return lambda value: isinstance(value, str) and 0 < len(value) <= max_length


def numeric_date(value: object) -> bool:
    """Whether `value` is a NumericDate (RFC 7519 §2): a finite number of seconds from 1970 on; not a boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and 0 <= value <= _LAST_SECOND
