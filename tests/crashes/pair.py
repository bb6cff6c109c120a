"""Two processes of the service behind one public URL, on one PostgreSQL and one Redis; and the way to them."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from tests.support.raw_wallet import TRUST
from tests.support.redis import RedisServer
from tests.support.server import RunningServer, free_port, serving_process


class Pair:
    """The processes 0 and 1, each `vestibule serve` of its own. Nobody listens at the public URL itself."""

    def __init__(self, server: RunningServer, redis: RedisServer) -> None:
        self.server = server
        self.redis = redis
        self._ports = free_port(), free_port()
        self._process_ids: dict[int, int] = {}
        self._ends = ExitStack(), ExitStack()

    def start(self) -> None:
        """Start whichever does not run."""
        for process in {0, 1} - self._process_ids.keys():
            serving = serving_process(self.server.settings, port=self._ports[process])
            _, self._process_ids[process] = self._ends[process].enter_context(serving)

    def kill(self, process: int) -> None:
        """Let a process die as if its machine had lost its power."""
        os.kill(self._process_ids[process], signal.SIGKILL)
        self._ends[process].close()
        del self._process_ids[process]

    def stop(self) -> None:
        """End both."""
        for end in self._ends:
            end.close()

    def port_for(self, process: int) -> tuple[int, int]:
        """Return this process and its port, or the other one's while this does not run."""
        running = process if process in self._process_ids else 1 - process
        return running, self._ports[running]


class Sent(NamedTuple):
    """A request on its way: who got it, what for, the status of the answer, and what it took."""

    process: int
    endpoint: str
    status: int
    seconds: float


class Route(httpx2.BaseTransport):
    """What stands before the processes: every request goes to the one that did not get the last.

    Unless that one is dead, or `only` names one.
    """

    def __init__(self, pair: Pair, *, first: int = 0) -> None:
        self.sent: list[Sent] = []
        self.only: int | None = None
        self.before: dict[int, Callable[[], object]] = {}
        """What is done before the request with this number, counted from 0, is sent."""
        self._pair, self._next = pair, first
        self._network = httpx2.HTTPTransport(verify=TRUST)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request on, with the Host of the public URL."""
        if (happening := self.before.get(len(self.sent))) is not None:
            happening()
        process, port = self._pair.port_for(self._next if self.only is None else self.only)
        started = time.perf_counter()
        answer = self._network.handle_request(
            httpx2.Request(
                request.method,
                request.url.copy_with(port=port),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )
        endpoint = urlsplit(str(request.url)).path.rpartition("/")[2]
        self.sent.append(Sent(process, endpoint, answer.status_code, time.perf_counter() - started))
        self._next = 1 - process
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._network.close()
