"""What every tenant repository has: the transaction, the tenant, and sealing by column."""

from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import BindParameter, Column, Insert, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import Executable

from app.adapters.db.connection import Connection, Missed
from app.adapters.db.prepared import Row
from app.adapters.db.tables import place
from app.adapters.vault import SealBroken, TenantVault

T = TypeVar("T")

TENANT: Final[BindParameter[str]] = bindparam("of_tenant")
"""The tenant in every WHERE; `TenantRepository` fills it and nobody else can."""

UpsertPair = dict[str, Insert]


class TenantRepository:
    """Base of the repositories: bound to one open transaction and one tenant, both taken when it is made."""

    def __init__(self, connection: Connection, vault: TenantVault) -> None:
        self._connection = connection
        self._vault = vault
        self._tenant_id = vault.tenant_id

    def _first(self, statement: Executable, **binds: Any) -> Row | None:
        return self._connection.execute(statement, {"of_tenant": self._tenant_id, **binds}).first

    def _all(self, statement: Executable, **binds: Any) -> list[Row]:
        return self._connection.execute(statement, {"of_tenant": self._tenant_id, **binds}).rows

    def _change(self, statement: Executable, **binds: Any) -> int:
        """Execute an UPDATE or DELETE; return how many rows it met."""
        return self._connection.execute(statement, {"of_tenant": self._tenant_id, **binds}).count

    def _insert(self, statement: Insert, **values: Any) -> int:
        """Execute an INSERT for this tenant; return how many rows it made."""
        return self._connection.execute(statement, {"tenant_id": self._tenant_id, **values}).count

    def _insert_soon(self, statement: Insert, missed: Missed | None = None, **values: Any) -> None:
        """Execute an INSERT for this tenant by the end of the transaction; it raises `missed()` if it makes none."""
        self._connection.execute_soon(statement, {"tenant_id": self._tenant_id, **values}, missed)

    def _change_soon(self, statement: Executable, missed: Missed, **binds: Any) -> None:
        """Execute an UPDATE or DELETE by the end of the transaction; it raises `missed()` if it meets no row."""
        self._connection.execute_soon(statement, {"of_tenant": self._tenant_id, **binds}, missed)

    def _upsert(self, statements: UpsertPair, **values: Any) -> int:
        return self._insert(statements[self._connection.kind], **values)

    def _upsert_soon(self, statements: UpsertPair, missed: Missed | None = None, **values: Any) -> None:
        self._insert_soon(statements[self._connection.kind], missed, **values)

    def _seal(self, column: Column[bytes], value: Any, **row: str | int) -> bytes | None:
        """Seal a value as JSON for its column and the row that has these values; None stays None."""
        return None if value is None else self._seal_octets(column, msgspec.json.encode(value), **row)

    def _seal_octets(self, column: Column[bytes], plaintext: bytes, **row: str | int) -> bytes:
        """Seal what is not JSON."""
        return self._vault.seal(*place(column, row), plaintext)

    def _open(self, column: Column[bytes], row: Row, type_: type[T]) -> T:
        """Open a sealed value of a row. Raises `SealBroken`."""
        return msgspec.json.decode(self._open_octets(column, row), type=type_)

    def _open_or_none(self, column: Column[bytes], row: Row, type_: type[T]) -> T | None:
        return None if getattr(row, column.name) is None else self._open(column, row, type_)

    def _open_octets(self, column: Column[bytes], row: Row) -> bytes:
        """Open what is not JSON. Raises `SealBroken`, also where there is nothing."""
        sealed = getattr(row, column.name)
        if sealed is None:
            raise SealBroken(f"{column}: nothing there")
        return self._vault.open(*place(column, row._asdict()), sealed)


def insert_unless_known(table: Table) -> UpsertPair:
    """Return an INSERT that makes no row where a unique key is taken, for each database."""
    return {
        "sqlite": sqlite.insert(table).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(table).on_conflict_do_nothing(),
    }
