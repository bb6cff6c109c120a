"""The real service over real sockets, in a thread of this process: uvicorn with the production configuration."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx2
import msgspec
import uvicorn

from app.adapters.db.migrate import upgrade
from app.adapters.server import server_config
from app.document.model import TenantDocument
from app.main import Service, build, open_service
from app.provisioning.apply import apply_document
from app.settings import DatabaseSettings, LimitSettings, Secret, SecretSettings, ServerSettings, Settings
from app.storage import TenantStore
from tests.support.fakes import FixedClock
from tests.support.raw_wallet import RawWallet

T = TypeVar("T")

MASTER_KEY = "bWFzdGVyIGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGU"
"""base64url of 32 octets."""


@dataclass
class RunningServer:
    """A server that answers."""

    settings: Settings
    clock: FixedClock

    @property
    def url(self) -> str:
        """The public URL."""
        return self.settings.public_url

    def issuer(self, slug: str = "pid-provider") -> str:
        """The issuer identifier of a tenant."""
        return f"{self.url}/{slug}"

    def wallet(self, slug: str = "pid-provider", **options: object) -> RawWallet:
        """A wallet for a tenant."""
        return RawWallet(self.issuer(slug), self.clock, **options)  # type: ignore[arg-type]  # options of RawWallet

    def apply(self, document: TenantDocument) -> None:
        """Apply a document as the command does, from beside the running server."""
        self.beside(lambda service: apply_all(service, [document]))

    def store(self, work: Callable[[TenantStore], T], slug: str = "pid-provider") -> T:
        """Run `work` on a tenant's repositories, from beside the running server."""

        async def call(service: Service) -> T:
            tenancy = await service.tenancies.by_slug(slug)
            assert tenancy is not None
            return await tenancy.write(work)

        return self.beside(call)

    def beside(self, call: Callable[[Service], Awaitable[T]]) -> T:
        """Run an async function on a service of its own on the same database, as a command would."""

        async def run() -> T:
            async with open_service(self.settings, clock=self.clock) as service:
                return await call(service)

        return run_apart(run())


def run_apart(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end in a thread of its own."""
    # An event loop may be running in this thread (pytest-asyncio, Playwright), so this one gets a thread of its own.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def apply_all(service: Service, documents: Sequence[TenantDocument]) -> None:
    """Apply documents one after the other."""
    for document in documents:
        await apply_document(
            service.platform,
            key_maker=service.key_maker,
            passwords=service.passwords,
            clock=service.clock,
            entropy=service.entropy,
            document=document,
            public_url=service.settings.public_url,
        )


def free_port() -> int:
    """Return a port nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings_for(
    database_url: str,
    data_directory: Path,
    *,
    port: int,
    tls: tuple[Path, Path] | None = None,
) -> Settings:
    """Return settings of a server on a loopback port."""
    return Settings(
        public_url=f"{'https' if tls else 'http'}://localhost:{port}",
        data_directory=data_directory,
        server=ServerSettings(
            port=port,
            tls_certificate=tls[0] if tls else None,
            tls_key=tls[1] if tls else None,
            graceful_shutdown=2,
        ),
        database=DatabaseSettings(url=Secret(database_url)),
        secrets=SecretSettings(master_keys=(Secret(MASTER_KEY),)),
        limits=LimitSettings(mode="off"),
    )


@contextmanager
def fresh_server(
    folder: Path, documents: Sequence[TenantDocument], *, clock: FixedClock | None = None, demo: bool = False
) -> Iterator[RunningServer]:
    """Serve with a new SQLite database in `folder`."""
    url = f"sqlite:///{folder / 'vestibule.db'}"
    run_apart(upgrade(url))
    settings = msgspec.structs.replace(settings_for(url, folder, port=free_port()), demo=demo)
    with running_server(settings, documents, clock=clock) as running:
        yield running


@contextmanager
def running_server(
    settings: Settings, documents: Sequence[TenantDocument], *, clock: FixedClock | None = None
) -> Iterator[RunningServer]:
    """Apply the documents and serve; the schema must be there."""
    clock = clock or FixedClock()
    running = RunningServer(settings, clock)
    running.beside(lambda service: apply_all(service, documents))
    server = uvicorn.Server(server_config(build(settings, clock=clock), settings))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        for _ in range(1000):
            if server.started or not thread.is_alive():
                break
            time.sleep(0.01)
        assert server.started, "the server did not start"
        yield running
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@contextmanager
def second_process(first: RunningServer, *, clock: FixedClock | None = None) -> Iterator[tuple[RunningServer, str]]:
    """Serve what a server serves once more, with all that a process keeps for itself; gives its origin too."""
    port = free_port()
    settings = msgspec.structs.replace(first.settings, server=ServerSettings(port=port, graceful_shutdown=2))
    with running_server(settings, [], clock=clock or first.clock) as second:
        yield second, f"http://localhost:{port}"


@contextmanager
def serving_process(settings: Settings, *, port: int, workers: int = 1) -> Iterator[tuple[str, int]]:
    """Run `vestibule serve` as a process of its own, listening on `port`; gives its origin and process id."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VESTIBULE_")}
    environment |= {
        "VESTIBULE_PUBLIC_URL": settings.public_url,
        "VESTIBULE_SERVER__PORT": str(port),
        "VESTIBULE_DATABASE__URL": settings.database_url,
        "VESTIBULE_SECRETS__MASTER_KEYS": MASTER_KEY,
        **{
            f"VESTIBULE_LIMITS__{name.upper()}": str(value)
            for name, value in msgspec.structs.asdict(settings.limits).items()
        },
        "VESTIBULE_DATA_DIRECTORY": str(settings.data_directory),
    }
    if settings.redis.url is not None:
        environment["VESTIBULE_REDIS__URL"] = settings.redis.url.reveal()
    if settings.metrics.port is not None:
        environment["VESTIBULE_METRICS__PORT"] = str(settings.metrics.port)
    if workers > 1:
        environment["VESTIBULE_SERVER__WORKERS"] = str(workers)
    origin = f"http://localhost:{port}"
    with (settings.data_directory / f"serve-{port}.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environment, stderr=log)
        try:
            for _ in range(400):
                try:
                    httpx2.get(f"{origin}/readyz", timeout=5)
                    break
                except httpx2.TransportError:
                    assert process.poll() is None, "the server did not start"
                    time.sleep(0.05)
            yield origin, process.pid
        finally:
            process.terminate()
            process.wait(timeout=20)
