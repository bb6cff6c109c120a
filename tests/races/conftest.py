"""Services to race at."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.database import KINDS
from tests.support.fakes import RunningClock
from tests.support.served import serving
from tests.support.server import RunningServer, free_port, serving_process


@pytest.fixture(scope="module", params=KINDS)
def origins(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningServer, list[str]]]:
    """A service, and the origins of its processes: one on SQLite, two on PostgreSQL."""
    folder: Path = tmp_path_factory.mktemp("races")
    with ExitStack() as stack:
        server = stack.enter_context(serving(request, request.param, folder, clock=RunningClock()))
        found = [server.url]
        if request.param == "postgresql":
            found.append(stack.enter_context(serving_process(server.settings, port=free_port()))[0])
        yield server, found
