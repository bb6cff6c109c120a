"""Services to race at, and what has to be true of their rows after every race."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.document.model import TenantDocument
from tests.crashes.stage import half_done, stuck
from tests.races.outcome import claimed, errors_logged
from tests.support.campus import academy
from tests.support.database import KINDS
from tests.support.documents import document
from tests.support.fakes import RunningClock
from tests.support.served import migrated_database
from tests.support.server import RunningServer, free_port, serving_process, settings_for

STRICT = "strict-academy"
"""Repeats no answer, so that of the same octets, too, one is accepted."""

FRUGAL = "frugal"
"""Gives, for each grant, one `pid` and two of `residence`."""

Origins = tuple[RunningServer, list[str]]
"""A service and the origins of its processes."""


@contextmanager
def _processes(
    request: pytest.FixtureRequest, kind: str, folder: Path, documents: list[TenantDocument]
) -> Iterator[Origins]:
    """Serve by processes of their own, one on SQLite, two on PostgreSQL: none shares a lock with who sends."""
    with migrated_database(request, kind, folder) as url, ExitStack() as stack:
        server = RunningServer(settings_for(url, folder, port=free_port()), RunningClock())
        for each in documents:
            server.apply(each)
        ports = [server.settings.server.port] if kind == "sqlite" else [server.settings.server.port, free_port()]
        yield server, [stack.enter_context(serving_process(server.settings, port=port))[0] for port in ports]
        assert stuck(server) == {}


class Services:
    """The services all races share, each started when it is first raced at."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._found: dict[str, Origins] = {}

    def get(self, request: pytest.FixtureRequest, kind: str) -> Origins:
        """Return the service on a kind of database."""
        if kind not in self._found:
            (self._folder / kind).mkdir()
            strict = academy(STRICT, {"interactive": {"repeat_lost_answers": False}})
            quota = {"pid": {"credentials_per_grant": 1}, "residence": {"credentials_per_grant": 2}}
            frugal = document({"tenant": {"slug": FRUGAL}, "credentials": quota})
            documents = [document(), frugal, academy(), strict]
            serving = _processes(request, kind, self._folder / kind, documents)
            self._found[kind] = self._stack.enter_context(serving)
        return self._found[kind]


@pytest.fixture(scope="package")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The services of this test process."""
    with ExitStack() as stack:
        yield Services(tmp_path_factory.mktemp("races"), stack)


@pytest.fixture(params=KINDS)
def origins(request: pytest.FixtureRequest, services: Services) -> Iterator[Origins]:
    """A service, of which nothing may be left by halves or claimed after the race, nor unforeseen in it."""
    server, addresses = services.get(request, request.param)
    yield server, addresses
    assert half_done(server) == []
    assert claimed(server) == []
    assert errors_logged(server) == []
