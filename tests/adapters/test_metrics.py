"""The metrics' files: whose counts are kept, and what is there while the metrics are off."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.adapters.db.counted import CountedDatabase
from app.adapters.metrics import forget_ended_processes
from app.jobs import schedule
from app.jobs.schedule import Job, running_jobs
from app.ports import NoMetrics
from app.protocol.refusal import Refusal
from app.records import AuditEvent, SpentKind
from app.settings import PROJECT_ROOT
from app.storage import TenantStore
from tests.support.database import OpenedDatabase
from tests.support.fakes import FixedClock
from tests.support.records import NOW


@pytest.fixture
def ended() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def files(folder: Path, *processes: int) -> list[str]:
    for process in processes:
        for kind in ("counter", "histogram"):
            (folder / f"{kind}_{process}.db").touch()
    return names(folder)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_service_that_starts_alone_begins_anew(tmp_path: Path, ended: int) -> None:
    # A container's process has the same id after every start.
    files(tmp_path, ended, os.getpid())
    forget_ended_processes(tmp_path)
    assert names(tmp_path) == []


def test_beside_another_process_every_count_is_kept(tmp_path: Path, ended: int) -> None:
    there = files(tmp_path, ended, os.getppid())
    forget_ended_processes(tmp_path)
    assert names(tmp_path) == there


def run(*command: str, folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VESTIBULE_", "PROMETHEUS_"))}
    return subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT_ROOT,
        env={**clean, "VESTIBULE_DATA_DIRECTORY": str(folder), **settings},
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )


def test_while_they_are_off_the_library_is_not_even_loaded(tmp_path: Path) -> None:
    build = "import sys, app.main, app.settings; app.main.build(app.settings.Settings()); print(*sys.modules)"
    loaded = run("-c", build, folder=tmp_path).stdout.split()
    assert "app.adapters.metrics" in loaded
    assert "prometheus_client" not in loaded
    assert names(tmp_path) == []


def test_a_process_that_never_counted_leaves_no_file(tmp_path: Path) -> None:
    build = "import app.main, app.settings_reader as s, os; app.main.build(s.load_settings(None, os.environ).settings)"
    result = run("-c", build, folder=tmp_path, VESTIBULE_METRICS__PORT="9464")
    assert result.returncode == 0, result.stderr
    assert names(tmp_path) == ["metrics"]
    assert names(tmp_path / "metrics") == []


def test_a_port_in_use_is_a_refused_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("-m", "app", "serve", "--port", "0", folder=tmp_path, VESTIBULE_METRICS__PORT=port)
    assert result.returncode == 1
    assert "metrics.port: cannot be listened on: Address already in use" in result.stderr
    assert "Traceback" not in result.stderr


class _Counted(NoMetrics):
    def __init__(self) -> None:
        self.events: list[str] = []
        self.replays: list[SpentKind] = []
        self.jobs: list[tuple[str, int | None]] = []

    def event(self, event: AuditEvent) -> None:
        self.events.append(event.kind)

    def replay(self, kind: SpentKind) -> None:
        self.replays.append(kind)

    def job(self, name: str, count: int | None) -> None:
        self.jobs.append((name, count))


async def test_events_count_once_committed_and_replays_also_where_that_rolled_back(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    counted = _Counted()
    counting = CountedDatabase(database.transactions, database.vaults, counted)

    def append_and_spend(store: TenantStore, event_id: str) -> None:
        store.audit.append(AuditEvent(event_id=event_id, occurred_at=NOW, kind="issued", subject="subject"))
        store.spent.spend("c_nonce", "value", expires_at=NOW, otherwise=Refusal("invalid_nonce"))

    await counting.write(tenant.tenant_id, lambda store: append_and_spend(store, "first"))
    assert (counted.events, counted.replays) == (["issued"], [])
    with pytest.raises(Refusal):
        await counting.write(tenant.tenant_id, lambda store: append_and_spend(store, "second"))
    assert (counted.events, counted.replays) == (["issued"], ["c_nonce"])


class _Silent:
    def info(self, event: str, **values: Any) -> None: ...

    def warning(self, event: str, **values: Any) -> None: ...


async def test_every_run_of_a_job_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    done = asyncio.Event()

    async def fails(*_: object) -> int:
        raise ConnectionError

    async def idles(*_: object) -> int:
        return 0

    async def works(*_: object) -> int:
        done.set()
        return 7

    monkeypatch.setattr(schedule, "JOBS", {job.__name__: Job(job, "", "") for job in (fails, idles, works)})
    counted = _Counted()
    async with running_jobs(None, FixedClock(), _Silent(), counted):  # type: ignore[arg-type]  # needs no platform
        await asyncio.wait_for(done.wait(), 10)
        await asyncio.sleep(0)
    assert counted.jobs == [("fails", None), ("idles", 0), ("works", 7)]
