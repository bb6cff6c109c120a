"""What lies between the service and PostgreSQL: it may be slow, let nothing pass, or break at the worst moment."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_GOODBYE: Final = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
"""The fields of an error (PostgreSQL's protocol, chapter "Error and Notice Message Fields")."""


class Relay:
    """Listens on a port of its own and passes on what it hears, both ways; lives in one event loop."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._loop = asyncio.get_running_loop()
        self._open, self._ended = asyncio.Event(), asyncio.Event()
        self._open.set()
        self._port = 0
        self._commits, self._last_commit = 0, 0
        self._services: set[asyncio.StreamWriter] = set()
        self.delay = 0.0
        """Seconds that everything takes on its way."""

    @property
    def url(self) -> str:
        """The database, reached through here."""
        user = self._to.netloc.rpartition("@")[0]
        return urlunsplit(self._to._replace(netloc=f"{user}@127.0.0.1:{self._port}"))

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let nothing pass, and tell nobody."""
        self._loop.call_soon_threadsafe(self._open.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._open.set)

    def break_after_commit(self, number: int) -> None:
        """Pass on this COMMIT, counted from now, and then break: nobody hears of it."""
        self._commits, self._last_commit = 0, number

    def say_goodbye(self) -> None:
        """Tell whoever is connected that the server shuts down, and do not hang up yet."""

        def say() -> None:
            for service in self._services:
                service.write(b"E" + (len(_GOODBYE) + 4).to_bytes(4) + _GOODBYE)

        self._loop.call_soon_threadsafe(say)

    @property
    def has_broken(self) -> bool:
        """Whether there were so many."""
        return 0 < self._last_commit <= self._commits

    async def run(self, listening: "Future[Relay]") -> None:
        """Listen, until told to end."""
        async with await asyncio.start_server(self._connected, "127.0.0.1", 0) as server:
            self._port = server.sockets[0].getsockname()[1]
            listening.set_result(self)
            await self._ended.wait()

    def end(self) -> None:
        """Do not listen any more."""
        self._loop.call_soon_threadsafe(self._ended.set)

    async def _connected(self, service: asyncio.StreamReader, to_service: asyncio.StreamWriter) -> None:
        database, to_database = await asyncio.open_connection(self._to.hostname, self._to.port)
        questions, breaking = _Questions(), False
        self._services.add(to_service)

        async def pass_questions() -> None:
            nonlocal breaking
            while octets := await self._hear(service):
                for _ in range(questions.committing(octets)):
                    self._commits += 1
                    breaking |= self._commits == self._last_commit
                to_database.write(octets)

        async def pass_answers() -> None:
            while octets := await self._hear(database):
                if breaking:
                    break
                to_service.write(octets)

        with suppress(OSError):
            both = [asyncio.create_task(pass_questions()), asyncio.create_task(pass_answers())]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for one in both:
                one.cancel()
        self._services.discard(to_service)
        to_service.close()
        to_database.close()

    async def _hear(self, reader: asyncio.StreamReader) -> bytes:
        octets = await reader.read(65536)
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._open.wait()
        return octets


class _Questions:
    """What one connection asks, read as PostgreSQL's protocol (version 3.0, chapter "Message Formats")."""

    def __init__(self) -> None:
        self._unread = b""
        self._has_started = False
        self._statements: dict[bytes, bytes] = {}
        self._in_transaction = False

    def committing(self, octets: bytes) -> int:
        """Return how many transactions that write end with these octets, a single statement being one of its own."""
        self._unread += octets
        ends = 0
        while len(self._unread) >= 5:
            # Messages have no type before and with the one that names the protocol: others ask for TLS.
            kind, head = (self._unread[:1], 1) if self._has_started else (b"", 0)
            end = head + int.from_bytes(self._unread[head : head + 4])
            if len(self._unread) < end:
                break
            body, self._unread = self._unread[head + 4 : end], self._unread[end:]
            self._has_started |= body.startswith(b"\0\3\0\0")
            ends += self._ends(kind, body)
        return ends

    def _ends(self, kind: bytes, body: bytes) -> bool:
        if kind == b"P":
            name, sql, _ = body.split(b"\0", 2)
            self._statements[name] = sql
        if kind == b"B":
            _, name, _ = body.split(b"\0", 2)
            return not self._in_transaction and self._statements[name].startswith((b"WITH", b"INSERT", b"UPDATE"))
        if kind == b"Q" and body.startswith(b"BEGIN"):
            self._in_transaction = True
        if kind == b"Q" and body.startswith((b"COMMIT", b"ROLLBACK")):
            self._in_transaction = False
            return body.startswith(b"COMMIT")
        return False


@contextmanager
def relayed(url: str) -> Iterator[Relay]:
    """Stand before a database."""
    listening: Future[Relay] = Future()

    async def run() -> None:
        await Relay(url).run(listening)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asyncio.run, run())
        relay = listening.result(10)
        try:
            yield relay
        finally:
            relay.end()
            running.result()
