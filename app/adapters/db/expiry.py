"""Ending sessions whose time has come, erasing what nobody can use any more, and deleting the rows in the end."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Delete,
    Table,
    Update,
    bindparam,
    delete,
    insert,
    null,
    or_,
    select,
    tuple_,
    update,
)

from app.adapters.db.connection import Connection
from app.adapters.db.tables import (
    access_tokens,
    audit_events,
    authorization_codes,
    browser_flows,
    grants,
    login_attempts,
    repeatable_answers,
    sessions,
    spent_values,
)
from app.adapters.db.transactions import await_turn
from app.interaction.machine import TERMINAL, TRANSITIONS, Event, Status
from app.ports import Entropy

MARGIN: Final = 120
"""Seconds rows stay past their expiry, so that clocks of several processes may differ by less.

What was spent is longer known to be spent than any clock takes it for live (N-09).
"""


def _is_any(states: Iterable[Status]) -> ColumnElement[bool]:
    return or_(*(sessions.c.status == status.value for status in states))


def _expired(table: Table) -> Delete:
    key = list(table.primary_key.columns)
    stale = select(*key).where(table.c.expires_at <= bindparam("until"))
    if table is authorization_codes:
        # Used codes go with their grant, so that a second use can still revoke it.
        stale = stale.where(table.c.grant_id.is_(None))
    if table is sessions:
        # None goes before its end is on record.
        stale = stale.where(_is_any(TERMINAL))
    return delete(table).where(tuple_(*key).in_(stale.limit(bindparam("most"))))


def _erased(column: Column[Any]) -> Update:
    table = column.table
    key = list(table.primary_key.columns)
    stale = select(*key).where(table.c.expires_at <= bindparam("until"), column.is_not(None))
    return update(table).where(tuple_(*key).in_(stale.limit(bindparam("most")))).values({column: null()})


# A browser's way and a kept answer are nothing but what they hold.
_ERASURES: Final[list[Delete | Update]] = [
    _expired(browser_flows),
    _expired(repeatable_answers),
    _erased(authorization_codes.c.authorization),
    _erased(grants.c.authorization),
]

# A grant's row takes its codes, access tokens and issuances along.
_DELETIONS: Final = [
    _expired(table)
    for table in (
        spent_values,
        sessions,
        access_tokens,
        authorization_codes,
        grants,
        login_attempts,
    )
]

_CAN_TIME_OUT: Final = [status for status, event in TRANSITIONS if event is Event.TIMED_OUT]
_SESSION_KEY: Final = tuple_(sessions.c.tenant_id, sessions.c.session_id)
_TIME_OUT: Final = (
    update(sessions)
    .where(
        _SESSION_KEY.in_(
            select(sessions.c.tenant_id, sessions.c.session_id)
            .where(_is_any(_CAN_TIME_OUT), sessions.c.expires_at <= bindparam("now"))
            .limit(bindparam("most"))
        ),
        # Once more: another process may have moved the session between choosing it and changing it.
        _is_any(_CAN_TIME_OUT),
    )
    .values(status=Status.EXPIRED.value, presentation_data=null(), completed_steps=null())
    .returning(sessions.c.tenant_id, sessions.c.session_id)
)
_FORGET_ANSWER: Final = delete(repeatable_answers).where(
    repeatable_answers.c.tenant_id == bindparam("of_tenant"),
    repeatable_answers.c.session_id == bindparam("of_session"),
)
_RECORD: Final = insert(audit_events).inline()


def end_timed_out_sessions(connection: Connection, entropy: Entropy, *, now: int, limit: int) -> int:
    """Record up to `limit` unfinished sessions past their expiry as `expired`, and erase what they held; how many."""
    await_turn(connection)
    ended = connection.execute(_TIME_OUT, {"now": now, "most": limit}).rows
    # Answers after sessions, as follow-ups do.
    for row in ended:
        connection.execute(_FORGET_ANSWER, {"of_tenant": row.tenant_id, "of_session": row.session_id})
    for row in ended:
        event = {
            "tenant_id": row.tenant_id,
            "event_id": entropy.identifier(),
            "occurred_at": now,
            "kind": "session_expired",
            "subject": row.session_id,
            "detail": {},
        }
        connection.execute_soon(_RECORD, event)
    return len(ended)


def erase_expired(connection: Connection, *, now: int, limit: int) -> int:
    """Erase what up to `limit` rows per table hold past their expiry, without a margin; return how many rows."""
    await_turn(connection)
    return sum(connection.execute(statement, {"until": now, "most": limit}).count for statement in _ERASURES)


def delete_expired(connection: Connection, *, now: int, limit: int) -> int:
    """Delete up to `limit` expired rows per table; return how many."""
    await_turn(connection)
    binds = {"until": now - MARGIN, "most": limit}
    return sum(connection.execute(statement, binds).count for statement in _DELETIONS)
