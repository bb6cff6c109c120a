"""Looks at, and changes, what a running service stores: from beside it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from app.document.model import TenantDocument
from tests.support.documents import document
from tests.support.server import RunningServer


def count_rows(server: RunningServer, table: str) -> int:
    """Return how many rows of any tenant a table of the server's SQLite database has."""
    assert server.settings.database.url is not None
    file = server.settings.database.url.reveal().removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  our own table names
    return int(count)


@contextmanager
def nothing_stored(server: RunningServer) -> Iterator[None]:
    """Assert that the block leaves no session, code, spent value or audit event behind."""
    tables = ("sessions", "authorization_codes", "spent_values", "audit_events")
    before = [count_rows(server, table) for table in tables]
    yield
    assert [count_rows(server, table) for table in tables] == before


@contextmanager
def changed(server: RunningServer, changes: dict[str, Any] | TenantDocument) -> Iterator[None]:
    """Change the document of `pid-provider`, and put it back afterwards."""
    server.apply(document(changes) if isinstance(changes, dict) else changes)
    try:
        yield
    finally:
        server.apply(document())
