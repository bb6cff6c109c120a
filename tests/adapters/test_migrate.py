"""Bringing databases to the current schema, and seeing where one differs."""

import asyncio
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, text

from app.adapters.db import migrate
from app.cli import vestibule
from app.protocol.refusal import Refusal
from tests.support.insider import as_insider
from tests.support.postgres import PostgresServer

Statements = list[str] | dict[str, list[str]]
"""The same for both databases, or by the dialect's name."""

DROPPED_CHECK: Statements = {
    "sqlite": [
        "PRAGMA writable_schema = ON",
        """UPDATE sqlite_master SET sql = replace(sql, ', ' || char(10) || char(9) ||
           'CONSTRAINT ck_grants_quota CHECK (credentials_issued BETWEEN 0 AND credentials_allowed)', '')
           WHERE name = 'grants'""",
    ],
    "postgresql": ["ALTER TABLE grants DROP CONSTRAINT ck_grants_quota"],
}
DROPPED_TRIGGER: Statements = {
    "sqlite": ["DROP TRIGGER sessions_updated_at"],
    "postgresql": ["DROP TRIGGER sessions_updated_at ON sessions"],
}
DROPPED_INDEX = ["DROP INDEX ix_grants_expires_at"]
ADDED_COLUMN = ["ALTER TABLE grants ADD COLUMN note VARCHAR(10)"]
DISABLED_TRIGGER: Statements = {
    "sqlite": ["DROP TRIGGER sessions_updated_at"],
    "postgresql": ["ALTER TABLE sessions DISABLE TRIGGER sessions_updated_at"],
}


async def execute(url: str, statements: Statements) -> None:
    def work(connection: Connection) -> None:
        for statement in statements if isinstance(statements, list) else statements[connection.dialect.name]:
            connection.execute(text(statement))

    await as_insider(url, work)


async def test_an_empty_database_is_upgraded_once(empty_database_url: str) -> None:
    assert await migrate.current(empty_database_url) is None
    assert await migrate.check(empty_database_url) != []
    assert await migrate.upgrade(empty_database_url) is None
    assert await migrate.current(empty_database_url) == migrate.newest()
    assert await migrate.check(empty_database_url) == []
    assert await migrate.upgrade(empty_database_url) == migrate.newest()


async def test_parallel_first_upgrades(empty_database_url: str) -> None:
    python = """if True:
        import asyncio, sys
        from app.adapters.db import migrate
        print(asyncio.run(migrate.upgrade(sys.argv[1])))
    """
    command = [sys.executable, "-c", python, empty_database_url]
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    newest = migrate.newest().encode()
    assert [error for _, error in outputs] == [b""] * 3
    assert sorted(output.strip() for output, _ in outputs) == [newest, newest, b"None"]
    assert await migrate.check(empty_database_url) == []


async def test_a_failing_upgrade_leaves_nothing(empty_database_url: str) -> None:
    table = ["CREATE TABLE users (name VARCHAR(10))"]
    await execute(empty_database_url, table)
    with pytest.raises(Exception, match="users"):
        await migrate.upgrade(empty_database_url)
    assert await migrate.current(empty_database_url) is None
    await execute(empty_database_url, ["DROP TABLE users"])
    assert await migrate.upgrade(empty_database_url) is None


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (DROPPED_CHECK, "grants"),
        (DROPPED_TRIGGER, "sessions_updated_at"),
        (DISABLED_TRIGGER, "sessions_updated_at"),
        (DROPPED_INDEX, "ix_grants_expires_at"),
        (ADDED_COLUMN, "grants"),
    ],
    ids=["CHECK", "trigger", "disabled trigger", "index", "column"],
)
async def test_check_names_what_differs(empty_database_url: str, statements: Statements, named: str) -> None:
    await migrate.upgrade(empty_database_url)
    await execute(empty_database_url, statements)
    differences = await migrate.check(empty_database_url)
    assert len(differences) == 1
    assert named in differences[0]


async def test_only_the_embedded_default_upgrades_itself(empty_database_url: str) -> None:
    with pytest.raises(Refusal) as refused:
        await migrate.ensure_schema(empty_database_url, embedded=False)
    assert "vestibule db upgrade" in refused.value.reason
    assert await migrate.current(empty_database_url) is None
    await migrate.ensure_schema(empty_database_url, embedded=True)
    await migrate.ensure_schema(empty_database_url, embedded=False)
    newer = ["UPDATE alembic_version SET version_num = '9999'"]
    await execute(empty_database_url, newer)
    with pytest.raises(Refusal):
        await migrate.ensure_schema(empty_database_url, embedded=False)


@pytest.mark.postgres
async def test_a_server_that_refuses_is_told_without_its_words(postgres_server: PostgresServer) -> None:
    url = await postgres_server.create_database()
    await postgres_server.drop_database(url)
    with pytest.raises(Refusal) as refused:
        await migrate.upgrade(url)
    assert refused.value.reason == "database.url: the server has no such database; make it first (createdb)"


@pytest.mark.postgres
async def test_a_server_that_is_too_old_is_told(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await postgres_server.take_migrated()
    monkeypatch.setattr(migrate, "_OLDEST_POSTGRESQL", 99)
    for use in (migrate.upgrade(url), migrate.check(url), migrate.ensure_schema(url, embedded=False)):
        with pytest.raises(Refusal) as refusal:
            await use
        assert re.fullmatch(r"database\.url: PostgreSQL 99 or newer is needed, this is [\d.]+", refusal.value.reason)
    await postgres_server.give_back(url)


def test_files_that_are_no_database_and_a_busy_one_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.db.sqlite.LOCK_TIMEOUT", 1)
    (tmp_path / "other").write_text("something else altogether")
    (tmp_path / "busy").touch()

    def run(file: Path) -> tuple[int, str]:
        environment = {"VESTIBULE_DATABASE__URL": f"sqlite:///{file}"}
        result = CliRunner().invoke(vestibule, ["db", "upgrade"], env=environment)
        return result.exit_code, result.stderr

    for file in (tmp_path / "other", tmp_path / "other" / "v.db"):
        code, told = run(file)
        assert code == 1
        assert told.startswith(f"Error: {file} cannot be used: ")
    with closing(sqlite3.connect(tmp_path / "busy", isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode = WAL")
        holder.execute("BEGIN IMMEDIATE")
        assert run(tmp_path / "busy") == (3, "Error: not reachable: the database is away or busy (5)\n")


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "v.db"

    def run(*words: str) -> tuple[int, str]:
        environment = {"VESTIBULE_DATABASE__URL": f"sqlite:///{file}"}
        result = CliRunner().invoke(vestibule, ["db", *words], env=environment)
        return result.exit_code, result.output

    assert run("current") == (0, "empty\n")
    assert not file.exists()
    code, output = run("check")
    assert code == 1
    assert "vestibule db upgrade" in output
    newest = migrate.newest()
    assert run("upgrade") == (0, f"upgraded: empty to {newest}\n")
    assert run("upgrade") == (0, f"nothing to do: {newest}\n")
    assert run("current") == (0, f"{newest}\n")
    assert run("check") == (0, f"the database is as it should be: {newest}\n")
