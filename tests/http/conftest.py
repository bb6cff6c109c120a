"""A running service for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import document, other_tenant
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
