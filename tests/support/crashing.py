"""The service as a process that dies where a test says: around any of its write transactions.

The product has no switch for this. The process is built here, from the real service, with `Database` and `Platform`
behind adapters that look at a trap; the test sets it in memory both share.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import TypeVar
from unittest import mock

import httpx2
import uvicorn

from app.adapters.db.platform import SqlPlatform
from app.adapters.db.store import SqlDatabase
from app.adapters.logs import configure_logging
from app.adapters.server import server_config
from app.main import Service, build, open_service
from app.ports import Database, Platform
from app.settings import Settings
from app.storage import PlatformStore, TenantStore
from tests.support.fakes import FixedClock
from tests.support.server import RunningServer

S = TypeVar("S")
T = TypeVar("T")

Command = Callable[[Service], Awaitable[object]]


class Moment(IntEnum):
    """When the process dies, seen from a write transaction."""

    BEFORE = 0
    INSIDE = 1
    """Everything is written, nothing is committed."""
    AFTER = 2
    """Committed, and nobody was told."""


class Trap:
    """At which write transaction, counted from when it was set, the process dies, and when."""

    def __init__(self, context: ForkServerContext) -> None:
        # Without a lock: nobody gives back the lock of a process that was killed.
        self._cells = context.RawArray("i", 3)

    def set(self, write: int, moment: Moment) -> None:
        """Set the trap, and count from here."""
        self._cells[:] = [write, int(moment), 0]

    def unset(self) -> None:
        """Let the process live."""
        self._cells[0] = 0

    @property
    def writes(self) -> int:
        """How many write transactions were begun since it was set."""
        return int(self._cells[2])

    async def around(self, run: Callable[[Callable[[S], T]], Awaitable[T]], work: Callable[[S], T]) -> T:
        """Run `work` in the transaction of `run`, or die."""

        def trapped(store: S) -> T:
            done = work(store)
            self._pass(Moment.INSIDE)
            return done

        self._cells[2] += 1
        self._pass(Moment.BEFORE)
        done = await run(trapped)
        self._pass(Moment.AFTER)
        return done

    def _pass(self, moment: Moment) -> None:
        if list(self._cells[:2]) == [self.writes, moment]:
            os.kill(os.getpid(), signal.SIGKILL)


class TrappedDatabase:
    """`Database` whose writes pass the trap."""

    def __init__(self, real: Database, trap: Trap) -> None:
        self._real, self._trap = real, trap

    async def read(self, tenant_id: str, work: Callable[[TenantStore], T]) -> T:
        return await self._real.read(tenant_id, work)

    async def write(self, tenant_id: str, work: Callable[[TenantStore], T]) -> T:
        return await self._trap.around(lambda trapped: self._real.write(tenant_id, trapped), work)


class TrappedPlatform:
    """`Platform` whose transactions pass the trap."""

    def __init__(self, real: Platform, trap: Trap) -> None:
        self._real, self._trap = real, trap

    async def transact(self, work: Callable[[PlatformStore], T]) -> T:
        return await self._trap.around(self._real.transact, work)

    async def is_reachable(self) -> bool:
        return await self._real.is_reachable()


def _serve(settings: Settings, now: int, trap: Trap) -> None:
    # The jobs of the service keep the real platform: they run when they like and would step into the trap.
    _log_to(settings.data_directory)
    configure_logging(settings.log)
    with mock.patch("app.main.SqlDatabase", lambda *parts: TrappedDatabase(SqlDatabase(*parts), trap)):
        uvicorn.Server(server_config(build(settings, clock=FixedClock(now)), settings)).run()


def _command(settings: Settings, now: int, trap: Trap, command: Command) -> None:
    async def run() -> None:
        async with open_service(settings, clock=FixedClock(now)) as service:
            await command(service)

    _log_to(settings.data_directory)
    with (
        mock.patch("app.main.SqlDatabase", lambda *parts: TrappedDatabase(SqlDatabase(*parts), trap)),
        mock.patch("app.main.SqlPlatform", lambda *parts: TrappedPlatform(SqlPlatform(*parts), trap)),
    ):
        asyncio.run(run())


def _log_to(folder: Path) -> None:
    log = os.open(folder / "crashing.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)


class CrashingServer(RunningServer):
    """A service in a process of its own, on the same database whatever happens to the process."""

    def __init__(self, settings: Settings, clock: FixedClock) -> None:
        super().__init__(settings, clock)
        # Forked from a process that has imported the service already: starting again takes a fifth of the time.
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self.trap = Trap(self._context)
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.trap.unset()
        self._process = self._context.Process(target=_serve, args=(self.settings, self.clock.now(), self.trap))
        self._process.start()
        for _ in range(1000):
            try:
                if httpx2.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            except httpx2.TransportError:
                assert self._process.is_alive(), (self.settings.data_directory / "crashing.log").read_text()
            time.sleep(0.01)
        raise AssertionError("the server did not start")

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.terminate()
            self._process.join(20)
            self._process.close()
            self._process = None

    @property
    def process_id(self) -> int:
        """The process that serves."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def dies_in(self, send: Callable[[], httpx2.Response], write: int, moment: Moment) -> bool:
        """Send a request on which the process is to die, and start it again. False: it answered instead."""
        assert self._process is not None
        self.trap.set(write, moment)
        try:
            send()
        except httpx2.TransportError:
            self._process.join(20)
            assert self._process.exitcode == -signal.SIGKILL
            self._process.close()
            self.start()
            return True
        self.trap.unset()
        return False

    def command(
        self, command: Command, write: int = 0, moment: Moment = Moment.BEFORE, *, now: int | None = None
    ) -> int:
        """Run a command in a process of its own, which dies at a transaction, 0 for none; return its exit code."""
        self.trap.set(write, moment)
        told = (self.settings, self.clock.now() if now is None else now, self.trap, command)
        process = self._context.Process(target=_command, args=told)
        process.start()
        process.join(60)
        self.trap.unset()
        code = process.exitcode
        process.close()
        assert code is not None
        return code


@contextmanager
def kept_alive(server: CrashingServer) -> Iterator[None]:
    """Serve what is in the database."""
    server.start()
    try:
        yield
    finally:
        server.stop()
