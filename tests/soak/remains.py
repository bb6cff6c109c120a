"""What a soak leaves behind: the log, and rows that should have gone."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select

from app.adapters.db.tables import sessions
from app.interaction.machine import Status
from tests.crashes.stage import stuck
from tests.journeys.canaries import found
from tests.support.served import query
from tests.support.server import RunningServer

EXPECTED_WARNINGS: Final = ("unsafe tenant setting", "unsafe setting", "Invalid HTTP request received.")
"""Of the tenant's document, of processes that count requests apart, and of octets that are no HTTP."""
CLAIMED: Final = (Status.PRESENTATION_RECEIVED, Status.WEB_AUTH_COMPLETED, Status.ALL_STEPS_COMPLETED)
"""Where no session of these journeys rests."""


def problems_of_rows(server: RunningServer) -> Iterator[str]:
    """Say which sessions are left half-way, and what is still there when everything is over."""
    statement = select(sessions.c.status, func.count()).where(sessions.c.status.in_(CLAIMED))
    for status, count in query(server, statement.group_by(sessions.c.status)):
        yield f"{count} sessions were left {status}"
    yield from (f"left for ever: {count} of {name}" for name, count in stuck(server).items())


def problems_of_log(log: Path, secrets: Mapping[str, str]) -> Iterator[str]:
    """Say which records tell of something unexpected, and which secrets are in the log."""
    with log.open("rb") as lines:
        for line in lines:
            problem = _problem(line)
            if problem is not None:
                yield problem
    leaked = found(log.read_bytes(), {name: value.encode() for name, value in secrets.items()})
    yield from (f"the log holds the {name}" for name in sorted(leaked))


def _problem(line: bytes) -> str | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return f"a line of the log is no record: {line[:200]!r}"
    if record["level"] in ("debug", "info") or record["event"] in EXPECTED_WARNINGS:
        return None
    return f"in the log: {' '.join(f'{name}={value}' for name, value in record.items())[:300]}"
