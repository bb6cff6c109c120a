"""Requests that are under way together.

They are made beforehand, and each is sent on a connection of its own up to the last octet of its head, where no service
begins with it; then all are let go, within a millisecond or two.
"""

import select
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

import httpx2

from tests.support.raw_http import as_response, connect, read_answer, spelled

T = TypeVar("T")

MANY = 50
"""How many race where many do."""


@dataclass
class Volley:
    """Answers in the order of the requests, and whether the first came after the last request had left."""

    answers: list[httpx2.Response]
    all_under_way: bool


def together(
    origins: Sequence[str],
    requests: Sequence[httpx2.Request],
    *,
    meanwhile: Callable[[], object] = lambda: None,
    after: int = 0,
) -> list[httpx2.Response]:
    """Send all requests at once, spread over the processes; return the answers in their order.

    `meanwhile` is run as soon as so many are answered.
    """
    return volley(origins, requests, meanwhile=meanwhile, after=after).answers


def volley(
    origins: Sequence[str],
    requests: Sequence[httpx2.Request],
    *,
    meanwhile: Callable[[], object] = lambda: None,
    after: int = 0,
) -> Volley:
    """Do what `together` does, and tell whether it was at once."""
    with ExitStack() as stack:
        connections: list[socket.socket] = []
        held: list[bytes] = []
        for index, request in enumerate(requests):
            connection = connect(origins[index % len(origins)], timeout=60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connections.append(stack.enter_context(connection))
            head, body = spelled(request)
            connection.sendall(head[:-1])
            held.append(head[-1:] + body)
        for connection, octets in zip(connections, held, strict=True):
            connection.sendall(octets)
        answered, _, _ = select.select(connections, [], [], 0)
        _await_answers(connections, after)
        meanwhile()
        return Volley([as_response(read_answer(each)) for each in connections], all_under_way=not answered)


def _await_answers(connections: Sequence[socket.socket], count: int) -> None:
    waiting = set(connections)
    while len(connections) - len(waiting) < count:
        answered, _, _ = select.select(waiting, [], [], 60)
        assert answered, "no answer for a minute"
        waiting -= set(answered)


def at_once(pool: ThreadPoolExecutor, calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run calls that are no single request, none before all threads are there."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    return list(pool.map(run, calls))
