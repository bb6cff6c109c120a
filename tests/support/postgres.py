"""PostgreSQL for tests: a server that was named, or one of the tests' own from installed binaries.

A server found on a standard port is never used. Each test process has its own server.
"""

import atexit
import glob
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.adapters.db import migrate
from app.adapters.db.tables import metadata


class PostgresServer:
    """A running server on which databases can be made. Migrated ones are emptied and used again: that is quicker."""

    def __init__(self, url: str, *, is_own: bool = False) -> None:
        self._url = url
        self.is_own = is_own
        """Whether it runs on this machine for these tests alone."""
        self._free: list[str] = []
        self._all: list[str] = []
        self._numbers = itertools.count()

    async def take_migrated(self) -> str:
        """Return the URL of a migrated, empty database; `give_back` it with its schema unchanged."""
        if self._free:
            return self._free.pop()
        url = await self.create_database()
        await migrate.upgrade(url)
        self._all.append(url)
        return url

    async def give_back(self, url: str) -> None:
        """Empty a migrated database for the next test, whoever is still connected to it."""
        tables = ", ".join(metadata.tables)
        await _execute(url, f"{_END_OTHERS}; TRUNCATE {tables}")
        self._free.append(url)

    async def create_database(self, *, folder: Path | None = None) -> str:
        """Make a database without any table, in a folder of its own if need be, and return its URL."""
        name = f"vestibule_test_{os.getpid()}_{next(self._numbers)}"
        if folder is None:
            await _execute(self._url, f"CREATE DATABASE {name}")
        else:
            await _execute(self._url, f"CREATE TABLESPACE {name} LOCATION '{folder}'")
            await _execute(self._url, f"CREATE DATABASE {name} TABLESPACE {name}")
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    async def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        name = urlsplit(url).path.removeprefix("/")
        await _execute(self._url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await _execute(self._url, f"DROP TABLESPACE IF EXISTS {name}")

    async def close(self) -> None:
        """Remove the migrated databases."""
        for url in self._all:
            await self.drop_database(url)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


_END_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()"""


def start_or_skip() -> PostgresServer:
    """Return the server to test with; without one the test is skipped, or fails where one is demanded."""
    if url := os.environ.get("VESTIBULE_TEST_POSTGRES_URL"):
        return PostgresServer(url)
    binaries = _binaries()
    if binaries is None:
        missing = "PostgreSQL is not installed and VESTIBULE_TEST_POSTGRES_URL is not set"
        if os.environ.get("CI") == "true" or os.environ.get("VESTIBULE_TEST_REQUIRE_POSTGRES") == "1":
            raise RuntimeError(missing)
        pytest.skip(missing)
    return PostgresServer(_start(binaries), is_own=True)


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += [Path(folder) for folder in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    complete = [folder for folder in candidates if (folder / "initdb").exists() and (folder / "pg_ctl").exists()]
    return complete[0] if complete else None


def _start(binaries: Path) -> str:
    folder = Path(tempfile.mkdtemp(prefix="vestibule-postgres-"))
    as_server: list[str] = []
    if os.geteuid() == 0:
        # The server refuses to run as root; its folder must then be open to the user it runs as.
        shutil.chown(folder, "postgres")
        as_server = ["runuser", "-u", "postgres", "--"]
    data, port = folder / "data", _free_port()

    def run(program: str, *arguments: str) -> None:
        command = [*as_server, str(binaries / program), "-D", str(data), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    def stop() -> None:
        run("pg_ctl", "stop", "-m", "immediate", "-w")
        shutil.rmtree(folder, ignore_errors=True)

    run("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off -c shared_buffers=32MB"
    run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
    atexit.register(stop)
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def dump(url: str) -> bytes:
    """Return everything a database holds, as `pg_dump` writes it."""
    binaries = _binaries()
    program = str(binaries / "pg_dump") if binaries else "pg_dump"
    return subprocess.run([program, "--dbname", url], capture_output=True, check=True).stdout
