"""Ends sessions whose time has come, erases what nobody can use any more, and deletes rows in the end.

In small transactions, which any number of processes may run at once. No request waits long for them, and none depends
on them: every rule also checks expiry itself. They keep personal data short-lived and the database small.
"""

from collections.abc import Callable
from typing import Final

from app.jobs import Tell
from app.ports import Clock, Platform
from app.storage import PlatformStore

_BATCH: Final = 500


async def end_sessions(platform: Platform, clock: Clock, tell: Tell) -> int:
    """Record unfinished sessions past their expiry as expired; return how many."""
    return await _in_batches(platform, tell, lambda store: store.end_timed_out_sessions(now=clock.now(), limit=_BATCH))


async def erase(platform: Platform, clock: Clock, tell: Tell) -> int:
    """Erase personal data in what has expired; return how many rows held some."""
    return await _in_batches(platform, tell, lambda store: store.erase_expired(now=clock.now(), limit=_BATCH))


async def delete(platform: Platform, clock: Clock, tell: Tell) -> int:
    """Delete rows that nothing can use any more; return how many."""
    return await _in_batches(platform, tell, lambda store: store.delete_expired(now=clock.now(), limit=_BATCH))


async def _in_batches(platform: Platform, tell: Tell, work: Callable[[PlatformStore], int]) -> int:
    total = 0
    while done := await platform.transact(work):
        total += done
        tell(done)
    return total
