"""What a database really contains, by name: tables, columns, constraints, indexes, triggers and their functions."""

import sqlite3
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, text

from app.adapters.db.sqlite import sqlite_engine

_SQLITE: Final = text("SELECT type || ' ' || name AS name, sql AS definition FROM sqlite_master WHERE sql IS NOT NULL")
_POSTGRESQL: Final = [
    text(query)
    for query in (
        """SELECT 'column ' || table_name || '.' || column_name AS name,
                  concat_ws(' ', data_type, character_maximum_length, is_nullable, column_default) AS definition
           FROM information_schema.columns WHERE table_schema = current_schema()""",
        """SELECT 'constraint ' || conname AS name,
                  conrelid::regclass || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated AS definition
           FROM pg_constraint WHERE connamespace = current_schema()::regnamespace""",
        """SELECT 'index ' || indexname AS name, indexdef AS definition
           FROM pg_indexes WHERE schemaname = current_schema()""",
        """SELECT 'trigger ' || tgname AS name,
                  pg_get_triggerdef(pg_trigger.oid) || ' ' || tgenabled::text AS definition
           FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
           WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal""",
        """SELECT 'function ' || proname AS name, pg_get_functiondef(oid) AS definition
           FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND prokind = 'f'""",
    )
]
_SCRATCH: Final = "vestibule_check"


def catalogue(connection: Connection) -> dict[str, str]:
    """Return every object of the database (PostgreSQL: of the current schema) with its definition."""
    if connection.dialect.name == "sqlite":
        return {row.name: " ".join(row.definition.split()) for row in connection.execute(_SQLITE)}
    schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    rows = [row for query in _POSTGRESQL for row in connection.execute(query)]
    return {row.name: row.definition.replace(f"{schema}.", "") for row in rows}


def migrated_catalogue(connection: Connection, migrate: Callable[[Connection], None]) -> dict[str, str]:
    """Return the catalogue of a freshly migrated throw-away database of the same kind.

    On PostgreSQL it is a schema of its own, made and rolled back within the connection's transaction.
    """
    if connection.dialect.name == "sqlite":
        raw = sqlite3.connect(":memory:", isolation_level=None)
        try:
            with sqlite_engine(lambda: raw, begin="BEGIN").begin() as fresh:
                migrate(fresh)
                return catalogue(fresh)
        finally:
            raw.close()
    with connection.begin_nested() as savepoint:
        connection.execute(text(f"CREATE SCHEMA {_SCRATCH}"))
        connection.execute(text(f"SET LOCAL search_path = {_SCRATCH}"))
        migrate(connection)
        made = catalogue(connection)
        savepoint.rollback()
    return made
