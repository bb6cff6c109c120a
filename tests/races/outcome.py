"""What a race left in the database."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, literal, select, union_all

from app.adapters.db.tables import (
    access_tokens,
    audit_events,
    authorization_codes,
    browser_flows,
    grants,
    issuances,
    login_attempts,
    sessions,
    spent_values,
)
from app.interaction.machine import Status
from tests.support.served import query
from tests.support.server import RunningServer

_COUNTED = (authorization_codes, grants, access_tokens, issuances, browser_flows, login_attempts)


def _by(column: Any, said: str) -> Any:
    name = literal(said) + column
    return select(name.label("name"), func.count().label("count")).group_by(column)


_COUNTS = union_all(
    *[select(literal(table.name).label("name"), func.count().label("count")).select_from(table) for table in _COUNTED],
    _by(sessions.c.status, "session "),
    _by(spent_values.c.kind, "spent "),
    _by(audit_events.c.kind, "told of "),
)
_CLAIMED = select(sessions.c.session_id, sessions.c.status).where(
    sessions.c.status.in_([Status.PRESENTATION_RECEIVED, Status.ALL_STEPS_COMPLETED])
)


@contextmanager
def changing(server: RunningServer, expected: Mapping[str, int], *, free: Collection[str] = ()) -> Iterator[None]:
    """Hold exactly what is expected to change: rows by table, sessions by status, spent values and events by kind.

    What depends on who wins may be put into `expected` meanwhile; what is `free` may be whatever it is.
    """
    before = _counts(server)
    yield
    after = _counts(server)
    names = (after | before).keys() - set(free)
    changed = {name: after[name] - before[name] for name in names if after[name] != before[name]}
    wanted = {name: count for name, count in expected.items() if count}
    assert changed == wanted, f"{changed}, not {wanted}"


def _counts(server: RunningServer) -> Counter[str]:
    return Counter({row.name: row.count for row in query(server, _COUNTS)})


def claimed(server: RunningServer) -> Sequence[Any]:
    """Return the sessions in a status that only a request under way may leave behind."""
    return query(server, _CLAIMED)


def errors_logged(server: RunningServer) -> list[str]:
    """Return what the log of the processes calls an error: each answer of 500 and more is one."""
    logs = server.settings.data_directory.glob("serve-*.log")
    return [line for log in logs for line in log.read_text().splitlines() if '"level": "error"' in line]
