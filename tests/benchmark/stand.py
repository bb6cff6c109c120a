"""A service that is measured: in processes of its own, on a database of its own, with a past."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from tests.benchmark.wallets import Wallets
from tests.support.campus import academy
from tests.support.fakes import RunningClock
from tests.support.measured import all_limits, fresh_database, processes
from tests.support.server import RunningServer, free_port, serving_process, settings_for
from tests.support.stored import store_finished_sessions


@dataclass
class Walked:
    """What journeys took; times in seconds."""

    journeys: int
    cpu: float
    """Of all processes of the service, user and system, as the operating system accounts it."""
    took: float
    waited: dict[str, list[float]]


@dataclass
class Stand:
    """A running service."""

    issuer: str
    process: psutil.Process

    def walk(self, wallets: Wallets, each: int, *, count: int) -> Walked:
        """Let wallets walk `each` journeys."""
        before, began = self._cpu(), time.perf_counter()
        waited = wallets.walk(self.issuer, each)
        return Walked(each * count, self._cpu() - before, time.perf_counter() - began, waited)

    @property
    def workers(self) -> Sequence[psutil.Process]:
        """The processes that serve."""
        return self.process.children() or [self.process]

    @property
    def resident(self) -> float:
        """MiB of memory, of all processes."""
        return sum(float(each.memory_info().rss) for each in processes(self.process)) / 2**20

    def keep_to(self, cores: Sequence[int]) -> None:
        """Let the service have these cores only."""
        for process in processes(self.process):
            # The threads one by one: the process's own setting is that of its first.
            for thread in process.threads():
                psutil.Process(thread.id).cpu_affinity(list(cores))

    def _cpu(self) -> float:
        return sum(times.user + times.system for times in (each.cpu_times() for each in processes(self.process)))


@contextmanager
def running_stand(database: str, *, workers: int = 1, stored: int = 0) -> Iterator[Stand | None]:
    """Run a service with `stored` finished sessions behind it; None where PostgreSQL is wanted and there is none."""
    with tempfile.TemporaryDirectory() as folder, fresh_database(database, Path(folder)) as url:
        if url is None:
            yield None
            return
        port = free_port()
        # Counted as ever, but one address sends everything: no number is ever reached.
        settings = msgspec.structs.replace(
            settings_for(url, Path(folder), port=port), limits=all_limits(lambda _: 10**9)
        )
        running = RunningServer(settings, RunningClock())
        running.apply(academy())
        if stored:
            store_finished_sessions(running, "academy", stored)
        with serving_process(running.settings, port=port, workers=workers) as (_, process_id):
            yield Stand(running.issuer("academy"), psutil.Process(process_id))
