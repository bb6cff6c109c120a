"""The service over real sockets on either database, as a fixture for any folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.adapters.db.migrate import upgrade
from app.document.model import TenantDocument
from tests.support.database import KINDS
from tests.support.documents import document, other_tenant
from tests.support.fakes import FixedClock
from tests.support.insider import as_insider
from tests.support.postgres import PostgresServer
from tests.support.server import RunningServer, free_port, run_apart, running_server, settings_for

T = TypeVar("T")


@contextmanager
def migrated_database(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of a migrated database of its own."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'vestibule.db'}"
        run_apart(upgrade(url))
        yield url
        return
    postgres: PostgresServer = request.getfixturevalue("postgres_server")
    url = run_apart(postgres.take_migrated())
    yield url
    run_apart(postgres.give_back(url))


@contextmanager
def serving(
    request: pytest.FixtureRequest,
    kind: str,
    folder: Path,
    *documents: TenantDocument,
    tls: tuple[Path, Path] | None = None,
    clock: FixedClock | None = None,
) -> Iterator[RunningServer]:
    """Serve on a database of its own; without documents, the two usual tenants."""
    with migrated_database(request, kind, folder) as url:
        settings = settings_for(url, folder, port=free_port(), tls=tls)
        with running_server(settings, documents or (document(), other_tenant()), clock=clock) as running:
            yield running


@pytest.fixture(scope="module", params=KINDS)
def either_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service with the two usual tenants, once on SQLite and once on PostgreSQL, shared by a module."""
    with serving(request, request.param, tmp_path_factory.mktemp("either")) as running:
        yield running


@pytest.fixture(params=KINDS)
def own_either_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServer]:
    """The same for one test: its clock may be moved, its tenants changed."""
    with serving(request, request.param, tmp_path) as running:
        yield running


def query(server: RunningServer, statement: Any) -> Sequence[Any]:
    """Ask the server's database itself."""
    return run_apart(as_insider(server.settings.database_url, lambda connection: connection.execute(statement).all()))


def change(server: RunningServer, statement: Any) -> None:
    """Change the server's database itself."""
    run_apart(as_insider(server.settings.database_url, lambda connection: connection.execute(statement).rowcount))
