"""Ending sessions whose time has come, and deleting what nothing can use any more."""

from typing import Final

from sqlalchemy import Connection, Delete, Table, bindparam, delete, insert, null, select, tuple_, update

from app.adapters.db.tables import (
    access_tokens,
    audit_events,
    authorization_codes,
    browser_flows,
    grants,
    login_attempts,
    sessions,
    spent_values,
)
from app.interaction.machine import TERMINAL, TRANSITIONS, Event, Status
from app.ports import Entropy

MARGIN: Final = 120
"""Seconds rows stay past their expiry, so that clocks of several processes may differ by less."""


def _expired(table: Table) -> Delete:
    key = list(table.primary_key.columns)
    stale = select(*key).where(table.c.expires_at < bindparam("before"))
    if table is authorization_codes:
        # Used codes go with their grant, so that a second use can still revoke it.
        stale = stale.where(table.c.grant_id.is_(None))
    if table is sessions:
        # None goes before its end is on record.
        stale = stale.where(sessions.c.status.in_(TERMINAL))
    return delete(table).where(tuple_(*key).in_(stale.limit(bindparam("most"))))


# A session's row takes its browser flows along; a grant's its codes, access tokens and issuances.
_STATEMENTS: Final = [
    _expired(table)
    for table in (
        spent_values,
        browser_flows,
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
            .where(sessions.c.status.in_(_CAN_TIME_OUT), sessions.c.expires_at <= bindparam("now"))
            .limit(bindparam("most"))
        ),
        # Once more: another process may have moved the session between choosing it and changing it.
        sessions.c.status.in_(_CAN_TIME_OUT),
    )
    .values(status=Status.EXPIRED.value, presentation_data=null())
    .returning(sessions.c.tenant_id, sessions.c.session_id)
)
_RECORD: Final = insert(audit_events).inline()


def end_timed_out_sessions(connection: Connection, entropy: Entropy, *, now: int, limit: int) -> int:
    """Record up to `limit` unfinished sessions past their expiry as `expired`; return how many."""
    ended = connection.execute(_TIME_OUT, {"now": now, "most": limit}).all()
    if ended:
        events = [
            {
                "tenant_id": tenant_id,
                "event_id": entropy.identifier(),
                "occurred_at": now,
                "kind": "session_expired",
                "subject": session_id,
                "detail": {},
            }
            for tenant_id, session_id in ended
        ]
        connection.execute(_RECORD, events)
    return len(ended)


def delete_expired(connection: Connection, *, now: int, limit: int) -> int:
    """Delete up to `limit` expired rows per table, sealed claims with them; return how many."""
    binds = {"before": now - MARGIN, "most": limit}
    return sum(connection.execute(statement, binds).rowcount for statement in _STATEMENTS)
