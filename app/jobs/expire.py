"""Ends sessions whose time has come and deletes what nothing can use any more, in small transactions.

No request waits long for it, and none depends on it: every rule also checks expiry itself. The job keeps the database
small and personal data short-lived.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from app.ports import Clock, Log, Platform

_BATCH: Final = 500
_PAUSE: Final = 60


async def expire(platform: Platform, clock: Clock) -> int:
    """End the sessions whose time has come and delete everything that has expired; return how many rows went."""
    while await platform.transact(lambda store: store.end_timed_out_sessions(now=clock.now(), limit=_BATCH)):
        pass
    total = 0
    while deleted := await platform.transact(lambda store: store.delete_expired(now=clock.now(), limit=_BATCH)):
        total += deleted
    return total


@contextlib.asynccontextmanager
async def expiring(platform: Platform, clock: Clock, log: Log) -> AsyncIterator[None]:
    """Run `expire` every minute while the service serves; a failure is logged and tried again."""

    async def forever() -> None:
        while True:
            try:
                if deleted := await expire(platform, clock):
                    log.info("expired", rows=deleted)
            except Exception as problem:
                log.warning("expiry failed", kind=type(problem).__name__)
            await asyncio.sleep(_PAUSE)

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
