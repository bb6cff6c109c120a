"""What is measured from outside: a service in processes of its own, on a database of its own."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from app.adapters.db.migrate import upgrade
from app.settings import LimitSettings
from tests.support.postgres import start_or_skip


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str | None]:
    """Give the URL of a migrated database, None where PostgreSQL is wanted and there is none."""
    if kind == "sqlite":
        url = f"sqlite:///{folder}/vestibule.db"
        asyncio.run(upgrade(url))
        yield url
        return
    try:
        server = start_or_skip()
    except pytest.skip.Exception as missing:
        print(missing, file=sys.stderr)
        yield None
        return
    url = asyncio.run(server.create_database())
    asyncio.run(upgrade(url))
    yield url
    asyncio.run(server.drop_database(url))


def all_limits(change: Callable[[int], int]) -> LimitSettings:
    """Return limits that are on, every number of them changed."""
    defaults = msgspec.structs.asdict(LimitSettings())
    return msgspec.convert(
        {name: change(value) for name, value in defaults.items() if isinstance(value, int)}, LimitSettings
    )


def processes(process: psutil.Process) -> Sequence[psutil.Process]:
    """Return a process and all it started."""
    return [process, *process.children(recursive=True)]
