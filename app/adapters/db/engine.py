"""Opening a database by its URL."""

from pathlib import Path

from sqlalchemy import make_url

from app.adapters.db.postgres import PostgresTransactions
from app.adapters.db.sqlite import SqliteTransactions
from app.adapters.db.transactions import Transactions


async def open_engine(url: str, *, pool_size: int = 10) -> Transactions:
    """Open the database of a plain URL: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`."""
    if (file := sqlite_file(url)) is not None:
        return await SqliteTransactions.open(file)
    return PostgresTransactions(url, pool_size=pool_size)


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for a PostgreSQL one. Raises ValueError for anything else."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        return None
    if parsed.drivername != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ValueError("database URL: give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")
    return Path(parsed.database)
