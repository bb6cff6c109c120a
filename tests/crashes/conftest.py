"""Services that can be killed: one on either database, and two on PostgreSQL and Redis."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from app.settings import LimitSettings, RedisSettings, Secret
from tests.crashes.pair import Pair
from tests.crashes.stage import Stage
from tests.crashes.walks import TENANT
from tests.support.campus import academy, campus
from tests.support.crashing import CrashingServer, kept_alive
from tests.support.database import KINDS
from tests.support.fakes import FixedClock, RunningClock
from tests.support.redis import own_server_or_skip
from tests.support.served import migrated_database
from tests.support.server import RunningServer, free_port, settings_for

PER_SENDER = [name for name in LimitSettings.__struct_fields__ if name.endswith(("_per_address", "_per_client"))]


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


@pytest.fixture(scope="module")
def running_pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two processes that serve a tenant which repeats no answer: what is used up is so for everybody."""
    folder = tmp_path_factory.mktemp("pair")
    with ExitStack() as stack:
        url = stack.enter_context(migrated_database(request, "postgresql", folder))
        redis = own_server_or_skip()
        stack.callback(redis.stop)
        settings = msgspec.structs.replace(
            settings_for(url, folder, port=free_port()),
            redis=RedisSettings(url=Secret(redis.url)),
            # All wallets share one address and one client.
            limits=msgspec.structs.replace(
                LimitSettings(follow_ups_per_session=10), **dict.fromkeys(PER_SENDER, 100_000)
            ),
        )
        server = RunningServer(settings, RunningClock())
        server.apply(academy(TENANT, {"interactive": {"repeat_lost_answers": False}}))
        pair = Pair(server, redis)
        stack.callback(pair.stop)
        yield pair


@pytest.fixture
def pair(running_pair: Pair) -> Pair:
    """Both processes and Redis, whatever the test before did to them."""
    running_pair.redis.recover()
    running_pair.start()
    return running_pair
