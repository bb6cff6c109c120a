"""The kinds of columns and keys that the tables are made of."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKeyConstraint, LargeBinary, String

from app.adapters.db.checks import DATABASE_NOW


def tenant_column() -> Column[str]:
    """Make the column every primary key begins with."""
    return Column("tenant_id", String(32), nullable=False)


def text(name: str, length: int | None = None, *, nullable: bool = False) -> Column[str]:
    """Make a text column; what comes from a wallet has no length here: its limits are the endpoints'."""
    return Column(name, String(length), nullable=nullable)


def digest(name: str, *, nullable: bool = False) -> Column[bytes]:
    """Make a column of SHA-256 digests."""
    return Column(name, LargeBinary(32), nullable=nullable)


def time(name: str, *, nullable: bool = False) -> Column[int]:
    """Make a column of seconds since 1970."""
    return Column(name, BigInteger, nullable=nullable)


def sealed(name: str, row_id: str, *versions: str, nullable: bool = False) -> Column[bytes]:
    """Make a column of sealed values, each bound to its row by the column `row_id`.

    `versions` name further columns it is bound to: whoever changes one seals the value anew, and an older value put
    back does not open.
    """
    return Column(name, LargeBinary, nullable=nullable, info={"row_id": (row_id, *versions)})


def json(name: str) -> Column[Any]:
    """Make a column of JSON values."""
    return Column(name, JSON, nullable=False)


def updated_at() -> Column[int]:
    """Make the column a trigger keeps."""
    return Column("updated_at", BigInteger, nullable=False, server_default=DATABASE_NOW)


def of_tenant() -> ForeignKeyConstraint:
    """Make a foreign key to the tenant."""
    # Only what is written rarely points at the tenant's row: on PostgreSQL every insert with this key locks it.
    return ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"])


def of_session() -> ForeignKeyConstraint:
    """Make a foreign key to a session, whose end is the end of the row."""
    return _of("sessions", "session_id")


def of_grant(**how: Any) -> ForeignKeyConstraint:
    """Make a foreign key to a grant, whose end is the end of the row."""
    return _of("grants", "grant_id", **how)


def _of(table: str, row_id: str, **how: Any) -> ForeignKeyConstraint:
    columns = ["tenant_id", row_id]
    return ForeignKeyConstraint(columns, [f"{table}.{column}" for column in columns], ondelete="CASCADE", **how)
