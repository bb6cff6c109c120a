"""PostgreSQL for tests: a server that was named, or one of the tests' own from installed binaries.

A server found on a standard port is never used. Each test process has its own server, its own template database with
the migrated schema, and copies that for each test.
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


class PostgresServer:
    """A running server on which databases can be made."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._template: str | None = None
        self._numbers = itertools.count()

    async def create_database(self, *, migrated: bool = True) -> str:
        """Make a database and return its URL."""
        if not migrated:
            return await self._create()
        if self._template is None:
            template = await self._create()
            await migrate.upgrade(template)
            self._template = template
        return await self._create(f"TEMPLATE {_name(self._template)} STRATEGY FILE_COPY")

    async def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        await self._execute(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")

    async def close(self) -> None:
        """Remove the template."""
        if self._template is not None:
            await self.drop_database(self._template)

    async def _create(self, how: str = "") -> str:
        name = f"vestibule_test_{os.getpid()}_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name} {how}")
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def start_or_skip() -> PostgresServer:
    """Return the server to test with; without one the test is skipped, or fails where one is demanded."""
    if url := os.environ.get("VESTIBULE_TEST_POSTGRES_URL"):
        return PostgresServer(url)
    binaries = _binaries()
    if binaries is None:
        missing = "PostgreSQL is not installed and VESTIBULE_TEST_POSTGRES_URL is not set"
        if os.environ.get("CI") == "true" or os.environ.get("VESTIBULE_REQUIRE_POSTGRES") == "1":
            raise RuntimeError(missing)
        pytest.skip(missing)
    return PostgresServer(_start(binaries))


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


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
