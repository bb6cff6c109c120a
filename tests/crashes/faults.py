"""What happens to databases: they refuse, fill up, break off, or let wait. Done from outside the service."""

import asyncio
import resource
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from sqlalchemy import text

from tests.support.crashing import CrashingServer
from tests.support.served import change, query
from tests.support.server import RunningServer


def is_sqlite(server: RunningServer) -> bool:
    """Whether the service stands on SQLite."""
    return server.settings.database_url.startswith("sqlite")


@contextmanager
def altered(server: RunningServer, *, by: list[str], undone_by: list[str]) -> Iterator[None]:
    """Change the schema under a running service, and change it back."""
    for statement in by:
        change(server, text(statement))
    try:
        yield
    finally:
        for statement in undone_by:
            change(server, text(statement))


def refusing_commits(server: RunningServer) -> Any:
    """Let whatever tells the audit trail something be refused by the database, and that only at its COMMIT."""
    if is_sqlite(server):
        return altered(
            server,
            by=[
                "CREATE TABLE refused (of_nobody TEXT REFERENCES tenants (tenant_id) DEFERRABLE INITIALLY DEFERRED)",
                "CREATE TRIGGER refusal AFTER INSERT ON audit_events BEGIN INSERT INTO refused VALUES ('nobody'); END",
            ],
            undone_by=["DROP TRIGGER refusal", "DROP TABLE refused"],
        )
    return raising(server, "40001", deferred=True)


def raising(server: RunningServer, state: str, *, deferred: bool) -> Any:
    """Let PostgreSQL raise an SQLSTATE where the audit trail is told something, or at the COMMIT behind it."""
    return altered(
        server,
        by=[
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{state}'; END $$",
            "CREATE CONSTRAINT TRIGGER refusal AFTER INSERT ON audit_events "
            f"{'DEFERRABLE INITIALLY DEFERRED' if deferred else ''} FOR EACH ROW EXECUTE FUNCTION refuse()",
        ],
        undone_by=["DROP TRIGGER refusal ON audit_events", "DROP FUNCTION refuse()"],
    )


def assert_told(answer: httpx2.Response, *statuses: int) -> None:
    """It is an error that says nothing but where to look."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.status_code != 503 or answer.headers["retry-after"]
    for secret in ("refuse", "sqlite", "postgres", "Traceback", "eyJ"):
        assert secret not in answer.text


@contextmanager
def locked(server: RunningServer) -> Iterator[None]:
    """Hold what every write of a request waits for."""
    url = server.settings.database_url
    if is_sqlite(server):
        holder = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.rollback()
        holder.close()
        return

    async def hold(let_go: asyncio.Event) -> None:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            await connection.execute("LOCK TABLE spent_values IN ACCESS EXCLUSIVE MODE")
            held.set()
            await let_go.wait()
        await connection.close()

    loop, let_go, held = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(loop.run_until_complete, hold(let_go))
        assert held.wait(10)
        yield
        loop.call_soon_threadsafe(let_go.set)
        holding.result()
    loop.close()


def terminate(server: RunningServer, *, waiting: bool) -> int:
    """Break off the connections of the service, or those that wait for a lock; return how many."""
    ours = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'vestibule'"
    )
    return len(query(server, text(f"{ours} AND wait_event_type = 'Lock'" if waiting else ours)))


@contextmanager
def unwritable_files(server: CrashingServer) -> Iterator[None]:
    """Let the service's process write to no file."""
    truncate_log(server)
    _, most = resource.prlimit(server.process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process_id, resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.prlimit(server.process_id, resource.RLIMIT_FSIZE, (most, most))


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a disk of a few megabytes at a folder. False: that takes rights that the tests do not have here."""
    mount = shutil.which("mount") or "false"
    options = ["-t", "tmpfs", "-o", "size=24m"]
    tried = subprocess.run([mount, *options, "tmpfs", str(folder)], capture_output=True, check=False)
    mounted = tried.returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def truncate_log(server: RunningServer) -> None:
    """Give back what SQLite's write-ahead log has had of the disk: it would be written to again."""
    with closing(sqlite3.connect(server.settings.database_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def full_disk(server: RunningServer, disk: Path) -> Iterator[None]:
    """Fill the disk that the service's database lies on."""
    if is_sqlite(server):
        truncate_log(server)
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as rest, pytest.raises(OSError, match="No space left"):
            all(rest.write(bytes(4096)) for _ in count())
        yield
    finally:
        filler.unlink()
