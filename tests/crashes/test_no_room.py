"""The disk is full: an error with a request id, nothing stored, and no restart needed once there is room."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from app.adapters.db.migrate import upgrade
from tests.crashes.conftest import crashing_stage
from tests.crashes.faults import assert_told, full_disk, small_disk, unwritable_files
from tests.crashes.stage import WRITES, Send, Stage, half_done, rows
from tests.support.campus import campus
from tests.support.crashing import CrashingServer
from tests.support.database import KINDS
from tests.support.fakes import RunningClock
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.postgres import PostgresServer
from tests.support.raw_wallet import error_of
from tests.support.server import RunningServer, free_port, run_apart, serving_process, settings_for

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def limited(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[CrashingServer, Stage]]:
    """A service on SQLite in a process of its own, and who calls it."""
    with crashing_stage(request, "sqlite", tmp_path_factory.mktemp("limited")) as both:
        yield both


class SmallDisk(NamedTuple):
    """A service whose database lies on a small disk, with its log, and who calls it."""

    folder: Path
    stage: Stage


@pytest.fixture(scope="module", params=KINDS)
def on_small_disk(request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    """A service on a small disk of its own."""
    # The folders that pytest makes are closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="vestibule-disk-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        if not stack.enter_context(small_disk(folder)):
            # Told in the summary of every run, and no failure where skipped tests are: the other form has run.
            pytest.xfail("no file system can be mounted here: the disk is full by a limit on files only")
        url = f"sqlite:///{folder / 'vestibule.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(database_in(request.getfixturevalue("postgres_server"), folder))
        run_apart(upgrade(url))
        server = RunningServer(settings_for(url, folder, port=free_port()), RunningClock())
        for document in campus():
            server.apply(document)
        stack.enter_context(serving_process(server.settings, port=server.settings.server.port))
        yield SmallDisk(folder, Stage(server, stack))


@contextmanager
def database_in(postgres: PostgresServer, folder: Path) -> Iterator[str]:
    """Make a database in a folder, which no server but the tests' own can have."""
    if not postgres.is_own:
        pytest.xfail("the PostgreSQL that was named does not see the disks of the tests")
    tables = folder / "tables"
    tables.mkdir()
    folder.chmod(0o755)
    shutil.chown(tables, "postgres")
    url = run_apart(postgres.create_database(folder=tables))
    yield url
    run_apart(postgres.drop_database(url))


def assert_nothing_is_stored(
    stage: Stage, request_of: Callable[[Stage], Send], fault: AbstractContextManager[None]
) -> None:
    send = request_of(stage)
    before = rows(stage.server)
    with fault:
        # Often enough for the log to need room too.
        for _ in range(30):
            assert_told(send(), 503)
        assert httpx2.get(f"{stage.server.url}/healthz").status_code == 200
    assert rows(stage.server) == before
    assert half_done(stage.server) == []
    assert error_of(send()) == WRITES[request_of][0][0]
    stage.issue()


@pytest.mark.rule("N-01", "N-06")
@pytest.mark.parametrize("request_of", WRITES, ids=lambda request: request.__name__)
def test_no_file_can_be_written(limited: tuple[CrashingServer, Stage], request_of: Callable[[Stage], Send]) -> None:
    server, stage = limited
    assert_nothing_is_stored(stage, request_of, unwritable_files(server))


@pytest.mark.rule("N-01", "N-06")
@pytest.mark.parametrize("on_small_disk", ["sqlite"], indirect=True)
@pytest.mark.parametrize("request_of", WRITES, ids=lambda request: request.__name__)
def test_the_disk_is_full(on_small_disk: SmallDisk, request_of: Callable[[Stage], Send]) -> None:
    folder, stage = on_small_disk
    assert_nothing_is_stored(stage, request_of, full_disk(stage.server, folder))


@pytest.mark.rule("N-01", "N-06")
def test_the_disk_fills_up_under_load(on_small_disk: SmallDisk) -> None:
    folder, stage = on_small_disk
    before = rows(stage.server)["sessions"]
    statuses: list[int] = []
    enough = threading.Event()

    def begin_again_and_again(wallet: InteractiveWallet) -> None:
        while not enough.is_set():
            answer = wallet.begin()
            if answer.status_code != 200:
                assert_told(answer, 503)
            statuses.append(answer.status_code)

    def wait_for_more(status: int) -> None:
        wanted, deadline = statuses.count(status) + 20, time.monotonic() + 20
        while statuses.count(status) < wanted:
            assert time.monotonic() < deadline, statuses
            time.sleep(0.01)

    with ThreadPoolExecutor(4) as pool:
        try:
            walking = [pool.submit(begin_again_and_again, stage.wallet()) for _ in range(4)]
            wait_for_more(200)
            with full_disk(stage.server, folder):
                wait_for_more(503)
            wait_for_more(200)
        finally:
            enough.set()
    assert [done.result() for done in walking] == [None] * 4
    # What was said to be stored is, and nothing else.
    assert rows(stage.server)["sessions"] - before == statuses.count(200)
    assert half_done(stage.server) == []
    stage.issue()
