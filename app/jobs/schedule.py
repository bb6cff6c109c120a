"""The jobs the service runs by itself, and the command with them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from msgspec import Struct

from app.jobs import Tell
from app.jobs.expire import delete, end_sessions, erase
from app.ports import Clock, Log, Metrics, NoMetrics, Platform

PERIOD: Final = 60
"""Seconds from one run of all jobs to the next."""


class Job(Struct, frozen=True):
    """Work nobody waits for, safe to run at any time and several times at once."""

    run: Callable[[Platform, Clock, Tell], Awaitable[int]]
    summary: str
    counted: str
    """What the number it returns is of."""


JOBS: Final[dict[str, Job]] = {
    "end-sessions": Job(
        end_sessions,
        "Record unfinished sessions past their expiry as expired, and erase what was shown in them.",
        "sessions ended",
    ),
    "erase": Job(
        erase,
        "Erase the claims of expired codes and grants, what browsers had found out, and answers kept for wallets.",
        "rows erased",
    ),
    "delete": Job(delete, "Delete rows that nothing can use any more.", "rows deleted"),
}
"""Name → job, in the order they are run: what a session held is erased before its row goes."""


@contextlib.asynccontextmanager
async def running_jobs(
    platform: Platform, clock: Clock, log: Log, metrics: Metrics | None = None
) -> AsyncIterator[None]:
    """Run every job once a minute while the service serves; one that fails is logged and tried again."""
    metrics = metrics or NoMetrics()

    async def forever() -> None:
        while True:
            for name, job in JOBS.items():
                try:
                    count = await job.run(platform, clock, lambda _: None)
                    metrics.job(name, count)
                    if count:
                        log.info("job", job=name, count=count)
                except Exception as problem:
                    metrics.job(name, None)
                    log.warning("job failed", job=name, kind=type(problem).__name__)
            await asyncio.sleep(PERIOD)

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
