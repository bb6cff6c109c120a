"""Bringing a database to the schema this version needs, and checking that it has it. Before the service starts."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from app.adapters.db.catalogue import catalogue, migrated_catalogue
from app.adapters.db.engine import sqlite_file
from app.adapters.db.postgres import postgres_url
from app.adapters.db.sqlite import configure_sqlite, sqlite_engine
from app.adapters.db.transactions import telling_what_passes
from app.protocol.refusal import Refusal

T = TypeVar("T")

MIGRATIONS: Final = Path(__file__).resolve().parents[3] / "migrations"
_OLDEST_POSTGRESQL: Final = 14
"""The first that notices that nobody waits for a statement any more (`adapters/db/postgres.py`)."""
_LOCK: Final = 0x7665737469627565
"""Key of the advisory lock under which PostgreSQL databases are upgraded."""


async def upgrade(url: str) -> str | None:
    """Bring a database to the newest schema; return the revision it had, None for an empty one.

    Several processes may do this at once: one does the work, the others wait for it.
    """

    def work(connection: Connection) -> str | None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = revision_of(connection)
        migrate(connection)
        return before

    return await _transact(url, work)


async def current(url: str) -> str | None:
    """Return the revision a database has, None where it has none."""
    if (file := sqlite_file(url)) is not None and not file.exists():
        return None
    return await _transact(url, revision_of)


async def check(url: str) -> list[str]:
    """Compare a database with what the migrations make, CHECK constraints and triggers included.

    Returns one sentence for each difference. Alembic's own comparison sees neither of the two.
    """

    found = await current(url)
    if found != newest():
        return [_out_of_date(found)]

    def work(connection: Connection) -> list[str]:
        is_there, should_be = catalogue(connection), migrated_catalogue(connection, migrate)
        missing = [f"missing: {name}" for name in should_be.keys() - is_there.keys()]
        surplus = [f"not of this version: {name}" for name in is_there.keys() - should_be.keys()]
        other = [
            f"different: {name}" for name in is_there.keys() & should_be.keys() if is_there[name] != should_be[name]
        ]
        return sorted(missing + surplus + other)

    return await _transact(url, work)


async def ensure_schema(url: str, *, embedded: bool) -> None:
    """Let the service start on a current schema only.

    The embedded default upgrades itself. Raises `Refusal` with the command to run for every other database.
    """
    if embedded:
        await upgrade(url)
        return
    found = await current(url)
    if found != newest():
        raise Refusal("schema_out_of_date", "The database schema is not current.", reason=_out_of_date(found))


def newest() -> str:
    """Return the revision this version of the service needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise LookupError("there are no migrations")
    return head


def revision_of(connection: Connection) -> str | None:
    """Return the revision of an open database."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(connection: Connection) -> None:
    """Run the missing migrations within the connection's transaction. Raises `Refusal` where rows do not fit."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
        raise _unusable("a row would point at one that is not there; nothing was changed")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _out_of_date(found: str | None) -> str:
    return f"the database schema is {found or 'empty'}, this version needs {newest()}; run: vestibule db upgrade"


async def _transact(url: str, work: Callable[[Connection], T]) -> T:
    """Run `work` in one transaction that holds the write lock on SQLite."""
    if (file := sqlite_file(url)) is not None:
        return _transact_sqlite(file, work)
    engine = create_async_engine(postgres_url(url), poolclass=NullPool)
    try:
        with telling_what_passes():
            async with engine.begin() as connection:
                _check_version(*connection.dialect.server_version_info or (0,))
                return await connection.run_sync(work)
    except DBAPIError as error:
        refused = _REFUSED.get(str(getattr(error.orig, "sqlstate", "")))
        if refused is None:
            raise
        raise _unusable(refused) from None


def _check_version(major: int | str, *minor: int | str) -> None:
    if int(major) < _OLDEST_POSTGRESQL:
        found = ".".join(map(str, (major, *minor)))
        raise _unusable(f"database.url: PostgreSQL {_OLDEST_POSTGRESQL} or newer is needed, this is {found}")


def _transact_sqlite(file: Path, work: Callable[[Connection], T]) -> T:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with telling_what_passes(), closing(sqlite3.connect(file, isolation_level=None)) as raw:
            configure_sqlite(raw)
            # A migration that makes a table anew drops it first: the rows that point at it must stay.
            raw.execute("PRAGMA foreign_keys = OFF")
            with sqlite_engine(lambda: raw, begin="BEGIN IMMEDIATE").begin() as connection:
                return work(connection)
    except (OSError, sqlite3.Error) as error:
        # The file's own fault: what a statement raises comes as an exception of SQLAlchemy.
        raise _unusable(f"{file} cannot be used: {error}") from None


_REFUSED: Final = {
    "28000": "database.url: the server refuses this user",
    "28P01": "database.url: the server refuses this user or password",
    "3D000": "database.url: the server has no such database; make it first (createdb)",
}
"""SQLSTATE → what an operator has to change. Without the server's own text, which names the user."""


def _unusable(reason: str) -> Refusal:
    return Refusal("database_unusable", "The database cannot be used.", reason=reason)
