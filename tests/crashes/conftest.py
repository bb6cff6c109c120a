"""A service that can be killed, on either database."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.crashes.stage import Stage
from tests.support.campus import campus
from tests.support.crashing import CrashingServer, kept_alive
from tests.support.database import KINDS
from tests.support.fakes import FixedClock
from tests.support.served import migrated_database
from tests.support.server import free_port, settings_for


@pytest.fixture(scope="module", params=KINDS)
def crashing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[CrashingServer, Stage]]:
    """A service in a process of its own, and who calls it."""
    with crashing_stage(request, request.param, tmp_path_factory.mktemp("crashing")) as both:
        yield both


@contextmanager
def crashing_stage(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[tuple[CrashingServer, Stage]]:
    """Serve with the tenants of `tests.support.campus` on a database of its own."""
    with migrated_database(request, kind, folder) as url, ExitStack() as stack:
        server = CrashingServer(settings_for(url, folder, port=free_port()), FixedClock())
        for document in campus():
            server.apply(document)
        stack.enter_context(kept_alive(server))
        yield server, Stage(server, stack)
