"""Several processes behind one socket: a supervisor that serves nothing itself, and what its workers owe it.

Workers are the same command once more, not forks: each has its own event loop, connections and memory. They share the
listening socket, so whoever is free takes the next connection.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Final

import structlog

from app.adapters.server import announce, server_config
from app.settings import Settings

WORKER_OPTION: Final = "--worker-of-socket"
"""The hidden option of `vestibule serve` that makes it a worker: the socket's file descriptor."""

_MARGIN: Final = 5
"""Seconds beyond `server.graceful_shutdown` after which a worker that still runs is killed."""
_PAUSE: Final = 1
"""Seconds until a worker that died is replaced."""


def run_workers(settings: Settings) -> None:
    """Run `server.workers` processes until SIGINT or SIGTERM, let running requests finish, and exit 0.

    A worker that dies is replaced. Exits with the code of a worker that could not start, 1 where the socket is taken.
    """
    # Raises what is wrong with the settings before anything runs.
    config = server_config(_no_app, settings)
    try:
        bound = config.bind_socket()
    except SystemExit:  # which it has told
        sys.exit(1)
    with bound as shared:
        # However this process was started, its workers are started the same way.
        command = [sys.executable, *sys.orig_argv[1:], WORKER_OPTION, str(shared.fileno())]
        sys.exit(asyncio.run(_Supervisor(settings, command, shared).run()))


def become_worker() -> None:
    """Tell the supervisor that this process serves, and stop as soon as it is gone."""
    os.write(sys.stdout.fileno(), b"serving\n")

    def follow() -> None:
        # It never writes: this returns when it ends, however it ends.
        os.read(sys.stdin.fileno(), 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()


class _Supervisor:
    def __init__(self, settings: Settings, command: Sequence[str], shared: socket.socket) -> None:
        self._settings = settings
        self._command = command
        self._shared = shared
        self._running: set[Process] = set()
        self._stopping = asyncio.Event()
        self._log = structlog.get_logger("server")

    async def run(self) -> int:
        """Return the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop)
        # The first alone: what hinders it would hinder all, and is said once.
        started = [await self._start()]
        if not isinstance(started[0], int):
            started += await asyncio.gather(*(self._start() for _ in range(1, self._settings.server.workers)))
        failed = next((code for code in started if isinstance(code, int)), 0)
        if self._stopping.is_set():
            failed = 0
        elif failed:
            self._stop()
        else:
            announce(self._settings, [self._shared.getsockname()])
        ends = await asyncio.gather(*(self._keep(worker) for worker in started if not isinstance(worker, int)))
        return failed or int(any(ends))

    async def _start(self) -> Process | int:
        """Return a worker that serves, or the exit code of one that could not."""
        if self._stopping.is_set():
            return 0
        worker = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=[self._shared.fileno()],
            # A terminal's Ctrl-C is for the supervisor; a second signal would make a worker drop its requests.
            start_new_session=True,
        )
        self._running.add(worker)
        if self._stopping.is_set():
            worker.terminate()
        assert worker.stdout is not None  # noqa: S101  # PIPE above
        if await worker.stdout.readline():
            return worker
        self._running.discard(worker)
        return await worker.wait()

    async def _keep(self, worker: Process) -> int:
        """Replace a worker as often as it dies; return the exit code of the last."""
        while True:
            code = await worker.wait()
            self._running.discard(worker)
            if self._stopping.is_set():
                return code
            self._log.warning("worker ended", process=worker.pid, code=code)
            while isinstance(started := await self._start(), int):
                if self._stopping.is_set():
                    return 0
                await asyncio.sleep(_PAUSE)
            worker = started

    def _stop(self) -> None:
        self._stopping.set()
        # Who comes now is refused at once instead of waiting for workers that take nobody any more.
        self._shared.close()
        for worker in self._running:
            if worker.returncode is None:
                worker.terminate()
        asyncio.get_running_loop().call_later(self._settings.server.graceful_shutdown + _MARGIN, self._kill)

    def _kill(self) -> None:
        for worker in self._running:
            self._log.warning("worker killed: it did not stop in time", process=worker.pid)
            worker.kill()


async def _no_app(*_: object) -> None:
    """Serve nothing: only the configuration around it is used here."""
