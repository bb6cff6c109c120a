"""Redis for tests: a server that was named, or one of the tests' own from an installed `redis-server`.

A server found on the standard port is never used. The tests' own can be stopped and started again.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import redis

from tests.support.server import free_port


class RedisServer:
    """A server of the tests' own on a free port; it keeps nothing on disk."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        """Start, empty, and wait until it listens."""
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([self._program, *options, "--dir", "/tmp"], stdout=subprocess.DEVNULL)  # noqa: S108  nothing is written there
        for _ in range(400):
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self._port), timeout=1)):
                return
            assert self._process.poll() is None, "redis-server did not start"
            time.sleep(0.01)
        raise AssertionError("redis-server does not listen")

    def stop(self) -> None:
        """Kill it; what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def fail(self, way: str) -> None:
        """Let it fail in one of the `WAYS_TO_FAIL`."""
        match way:
            case "emptied":
                flush(self.url)
            case "restarted":
                self.stop()
                self.start()
            case "stopped":
                self.stop()
            case "hanging":
                self.freeze()

    def recover(self) -> None:
        """Answer again, whatever was done to it."""
        if self._process is None:
            self.start()
        self.thaw()


WAYS_TO_FAIL = ["emptied", "restarted", "stopped", "hanging"]
"""What becomes of a Redis: in the first two it answers, and knows nothing."""


def flush(url: str) -> None:
    """Empty a server's database."""
    with closing(redis.Redis.from_url(url)) as connection:
        connection.flushdb()


def keys(url: str) -> list[bytes]:
    """Return every key a server's database holds."""
    with closing(redis.Redis.from_url(url)) as connection:
        found: list[bytes] = list(connection.scan_iter())
        return found


def own_server_or_skip() -> RedisServer:
    """Start a server; without the program the test is skipped, or fails where it is demanded."""
    program = shutil.which("redis-server")
    if program is None:
        missing = "redis-server is not installed"
        if os.environ.get("CI") == "true":
            raise RuntimeError(missing)
        pytest.skip(missing)
    return RedisServer(program)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server for one test, which may stop it."""
    server = own_server_or_skip()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """The URL of a server whose database is empty; `VESTIBULE_TEST_REDIS_URL` may name one."""
    if url := os.environ.get("VESTIBULE_TEST_REDIS_URL"):
        flush(url)
        yield url
        return
    server = own_server_or_skip()
    yield server.url
    server.stop()
