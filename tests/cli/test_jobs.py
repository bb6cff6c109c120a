"""`vestibule jobs` as an operator meets it, and the same jobs as the service runs them itself."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, func, insert, select

from app.adapters.db.tables import audit_events, sessions, spent_values
from app.cli import vestibule
from app.jobs import schedule
from app.jobs.schedule import Job, running_jobs
from app.protocol import base64url
from app.protocol.digest import digest
from tests.support import records
from tests.support.database import MASTER_KEY, OpenedDatabase
from tests.support.fakes import FixedClock

LONG_AGO = 1_000_000_000


def environment(database: OpenedDatabase, folder: Path) -> dict[str, str]:
    return {
        "VESTIBULE_DATABASE__URL": database.url,
        "VESTIBULE_SECRETS__MASTER_KEYS": base64url.encode(MASTER_KEY),
        "VESTIBULE_DATA_DIRECTORY": str(folder),
    }


async def run(database: OpenedDatabase, folder: Path, *words: str) -> Result:
    """Run the command in a thread: it brings an event loop of its own."""
    invoke = CliRunner().invoke
    return await asyncio.to_thread(invoke, vestibule, ["jobs", *words], env=environment(database, folder))


async def fill(database: OpenedDatabase, *, abandoned: int, spent: int) -> None:
    """Store sessions that nobody finished and values that were spent, all of them long ago."""
    tenant = await database.make_tenant()

    def begin(store: Any) -> None:
        for number in range(abandoned):
            store.sessions.create(
                records.session(
                    session_id=f"session-{number}",
                    request_uri_digest=digest(str(number)),
                    created_at=LONG_AGO,
                    expires_at=LONG_AGO + 900,
                )
            )

    def spend(connection: Connection) -> None:
        row = {"tenant_id": tenant.tenant_id, "kind": "c_nonce", "expires_at": LONG_AGO}
        if spent:
            connection.execute(insert(spent_values), [row | {"digest": digest(str(n))} for n in range(spent)])

    await database.write(tenant, begin)
    await database.sql(spend)


def count(table: Any) -> Any:
    return lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_the_list_says_what_runs_and_how_often() -> None:
    listed = CliRunner().invoke(vestibule, ["jobs", "list"])
    assert listed.exit_code == 0
    assert [line.split()[:4] for line in listed.output.splitlines()] == [
        [name, "every", "60", "s"] for name in ("end-sessions", "erase", "delete")
    ]


async def test_all_jobs_run_in_order_and_say_what_they_did(database: OpenedDatabase, tmp_path: Path) -> None:
    await fill(database, abandoned=2, spent=1)
    done = await run(database, tmp_path, "run")
    assert (done.exit_code, done.stderr) == (0, "")
    # The sessions are ended first, so that their rows go in the same run.
    assert done.stdout == "end-sessions: sessions ended: 2\nerase: rows erased: 0\ndelete: rows deleted: 3\n"
    again = await run(database, tmp_path, "run")
    assert again.stdout == "end-sessions: sessions ended: 0\nerase: rows erased: 0\ndelete: rows deleted: 0\n"


async def test_only_the_jobs_that_are_named_run(database: OpenedDatabase, tmp_path: Path) -> None:
    await fill(database, abandoned=2, spent=1)
    assert (await run(database, tmp_path, "run", "delete")).stdout == "delete: rows deleted: 1\n"
    assert (await run(database, tmp_path, "run", "end-sessions")).stdout == "end-sessions: sessions ended: 2\n"
    assert await database.sql(count(sessions)) == 2
    unknown = await run(database, tmp_path, "run", "end-sessions", "tidy")
    assert unknown.exit_code == 2
    assert "'tidy' is not one of 'end-sessions', 'erase', 'delete'" in unknown.stderr


async def test_long_work_says_how_far_it_is(database: OpenedDatabase, tmp_path: Path) -> None:
    await fill(database, abandoned=0, spent=2300)
    done = await run(database, tmp_path, "run", "delete")
    assert done.stdout == "delete: rows deleted: 2300\n"
    assert done.stderr == "delete: rows deleted so far: 1000\ndelete: rows deleted so far: 2000\n"


async def test_a_database_that_is_away_is_told_as_everywhere(tmp_path: Path) -> None:
    away = {
        "VESTIBULE_DATABASE__URL": "postgresql://nobody@127.0.0.1:1/none",
        "VESTIBULE_DATA_DIRECTORY": str(tmp_path),
    }
    result = await asyncio.to_thread(CliRunner().invoke, vestibule, ["jobs", "run"], env=away)
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: not reachable: ")


async def test_two_commands_and_a_service_at_once_do_everything_once(database: OpenedDatabase, tmp_path: Path) -> None:
    await fill(database, abandoned=700, spent=700)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VESTIBULE_")}
    commands = [
        await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "app", "jobs", "run"],
            env=inherited | environment(database, tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    told = _Told()

    def done(name: str) -> int:
        return told.jobs.get(name, 0) + sum(int(number) for of, number in lines if of.startswith(name))

    async with running_jobs(database.platform, database.clock, told):
        outputs = await asyncio.gather(*(command.communicate() for command in commands))
        lines = [line.decode().rsplit(": ", 1) for output, _ in outputs for line in output.splitlines()]
        async with asyncio.timeout(10):
            while (done("end-sessions"), done("delete")) != (700, 1400):
                await asyncio.sleep(0.01)
    assert [command.returncode for command in commands] == [0, 0]
    assert [error for _, error in outputs] == [b"", b""]
    assert await database.sql(count(audit_events)) == 700
    assert told.failures == []


class _Told:
    """A log that keeps what jobs say."""

    def __init__(self) -> None:
        self.jobs: dict[str, int] = {}
        self.failures: list[tuple[str, str]] = []

    def info(self, event: str, **values: Any) -> None:
        assert event == "job"
        self.jobs[values["job"]] = self.jobs.get(values["job"], 0) + values["count"]

    def warning(self, event: str, **values: Any) -> None:
        assert event == "job failed"
        assert values.keys() == {"job", "kind"}
        self.failures.append((values["job"], values["kind"]))


async def test_a_job_that_fails_keeps_no_other_from_running_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    both_twice = asyncio.Event()

    async def fails(*_: object) -> int:
        ran.append("fails")
        raise ConnectionError("with a secret in its words")

    async def works(*_: object) -> int:
        ran.append("works")
        if len(ran) == 4:
            both_twice.set()
        return 7

    monkeypatch.setattr(schedule, "PERIOD", 0)
    monkeypatch.setattr(schedule, "JOBS", {"fails": Job(fails, "", ""), "works": Job(works, "", "")})
    told = _Told()
    async with running_jobs(None, FixedClock(), told):  # type: ignore[arg-type]  # these jobs need no platform
        await asyncio.wait_for(both_twice.wait(), 10)
    assert ran[:4] == ["fails", "works", "fails", "works"]
    assert told.failures[:2] == [("fails", "ConnectionError")] * 2
    assert told.jobs["works"] >= 7
