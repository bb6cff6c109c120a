"""Deleting what nothing can use any more."""

from typing import Final

from sqlalchemy import Connection, Delete, Table, bindparam, delete, select, tuple_

from app.adapters.db.tables import (
    access_tokens,
    authorization_codes,
    browser_flows,
    grants,
    login_attempts,
    sessions,
    spent_values,
)

MARGIN: Final = 120
"""Seconds rows stay past their expiry, so that clocks of several processes may differ by less."""


def _expired(table: Table) -> Delete:
    key = list(table.primary_key.columns)
    stale = select(*key).where(table.c.expires_at < bindparam("before"))
    if table is authorization_codes:
        # Used codes go with their grant, so that a second use can still revoke it.
        stale = stale.where(table.c.grant_id.is_(None))
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


def delete_expired(connection: Connection, *, now: int, limit: int) -> int:
    """Delete up to `limit` expired rows per table, sealed claims with them; return how many."""
    binds = {"before": now - MARGIN, "most": limit}
    return sum(connection.execute(statement, binds).rowcount for statement in _STATEMENTS)
