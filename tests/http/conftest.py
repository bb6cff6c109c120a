"""A running service for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.campus import Person, campus, person
from tests.support.documents import document, other_tenant
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.raw_wallet import Browser, RawWallet
from tests.support.server import RunningServer, fresh_server


def _serve(folder: Path) -> Iterator[RunningServer]:
    with fresh_server(folder, [document(), other_tenant()]) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service with the tenants `pid-provider` and `other-tenant`, shared by a module: leave its clock and tenants."""
    yield from _serve(tmp_path_factory.mktemp("server"))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    """A service of the test's own: its clock may be moved, its tenants changed."""
    yield from _serve(tmp_path)


@pytest.fixture(scope="module")
def campus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service with issuers of personal IDs and universities that take them: `tests.support.campus`."""
    with fresh_server(tmp_path_factory.mktemp("campus"), campus()) as running:
        yield running


@pytest.fixture(scope="module")
def victim(campus_server: RunningServer) -> Person:
    """Erika with her credentials."""
    return person(campus_server, "erika")


@pytest.fixture(scope="module")
def attacker(campus_server: RunningServer) -> Person:
    """Max with his."""
    return person(campus_server, "max")


@pytest.fixture
def own_campus(tmp_path: Path) -> Iterator[RunningServer]:
    """The same tenants for one test: the clock may be moved, the documents changed."""
    with fresh_server(tmp_path, campus()) as running:
        yield running


@pytest.fixture
def own_victim(own_campus: RunningServer) -> Person:
    """Erika with her credentials, there."""
    return person(own_campus, "erika")


@pytest.fixture(params=[False, True], ids=["bare", "urn"])
def speaker(
    request: pytest.FixtureRequest, campus_server: RunningServer, victim: Person
) -> Iterator[InteractiveWallet]:
    """Erika's wallet at `university`, once for each of the two token tables."""
    with interactive_wallet(campus_server, urn=request.param, holder=victim.holder) as wallet:
        yield wallet


@pytest.fixture
def erika(campus_server: RunningServer, victim: Person) -> Iterator[InteractiveWallet]:
    """Erika's wallet at `university`, where the token table makes no difference."""
    with interactive_wallet(campus_server, holder=victim.holder) as wallet:
        yield wallet


@pytest.fixture
def wallet(server: RunningServer) -> Iterator[RawWallet]:
    """A wallet at `pid-provider`."""
    with server.wallet() as wallet:
        yield wallet


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser with an empty cookie jar."""
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def second_browser() -> Iterator[Browser]:
    """Another browser, with a cookie jar of its own."""
    browser = Browser()
    yield browser
    browser.close()
