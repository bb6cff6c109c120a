"""What is wrong with a tenant document, and where."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from msgspec import Struct

Path = tuple[str | int, ...]
"""The way from the root to a value: member names and list indexes."""
Severity = Literal["error", "warning", "note"]
"""It cannot be applied; it is odd; nothing is wrong, but it should be known."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


class Position(NamedTuple):
    """A place in the text, both counted from 1."""

    line: int
    column: int


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong, odd or good to know, and what to do about it. Never holds a secret's value."""

    path: str
    """Such as `credentials.pid.claims[3].source`; empty for the document as a whole."""
    line: int
    column: int
    message: str
    hint: str
    severity: Severity = "error"


class Finding(Struct, frozen=True):
    """A problem before it is looked up where in the text it is."""

    path: Path
    message: str
    hint: str
    severity: Severity = "error"


def spell(path: Path) -> str:
    """Return a path as people write it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_NAME.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part)}]"
    return text


def locate(findings: Iterable[Finding], positions: Mapping[Path, Position]) -> list[Problem]:
    """Give each finding its place, in the order of the text; what is not written stands where its parent stands."""
    problems = []
    for finding in findings:
        written = finding.path
        while written not in positions and written:
            written = written[:-1]
        line, column = positions.get(written, Position(1, 1))
        problems.append(
            Problem(
                path=spell(finding.path),
                line=line,
                column=column,
                message=finding.message,
                hint=finding.hint,
                severity=finding.severity,
            )
        )
    return sorted(problems, key=lambda problem: (problem.line, problem.column))
