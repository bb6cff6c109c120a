"""Everything of a tenant that is sealed, for moving it under a new data key while the service serves."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Column, LargeBinary, Select, Update, bindparam, func, select, update

from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import SEALED, place
from app.adapters.db.transactions import await_turn
from app.adapters.vault import KEY_NUMBER, SealBroken
from app.records import Resealed, SealedValue


class _Statements(Struct, frozen=True):
    column: Column[bytes]
    before_all: str | bytes | int
    """Sorts before every key of the table."""
    find: Select[Any]
    replace: Update


def _statements(column: Column[bytes]) -> _Statements:
    table = column.table
    _, key = table.primary_key.columns
    key_number = func.substr(column, KEY_NUMBER.start + 1, KEY_NUMBER.stop - KEY_NUMBER.start, type_=LargeBinary)
    bound_to = [table.c[name] for name in column.info["row_id"]]
    return _Statements(
        column,
        key.type.python_type(),
        select(key.label("key"), column.label("sealed"), *bound_to)
        .where(table.c.tenant_id == TENANT, key > bindparam("after"), key_number < bindparam("newest"))
        .order_by(key)
        .limit(bindparam("most")),
        update(table)
        .where(table.c.tenant_id == TENANT, key == bindparam("of_key"), column == bindparam("found"))
        .values({column: bindparam("resealed")}),
    )


_COLUMNS: Final = {(str(column.table.name), str(column.name)): _statements(column) for column in SEALED}


class SqlSealedValues(TenantRepository):
    """`SealedValues` on SQL: column by column, each in the order of its table's primary key.

    No batch is of two tables: whoever changes rows of two then does not wait for a batch that waits for them.
    """

    def under_older_keys(self, *, after: SealedValue | None = None, limit: int) -> list[SealedValue]:
        """Return up to `limit` values that an older data key sealed, those behind `after`."""
        self._vault.refresh()
        newest = self._vault.newest.to_bytes(4)
        columns = list(_COLUMNS)
        if after is not None:
            columns = columns[columns.index(after.place[:2]) :]
        for name in columns:
            statements = _COLUMNS[name]
            behind = after.key if after is not None and after.place[:2] == name else statements.before_all
            if rows := self._all(statements.find, after=behind, newest=newest, most=limit):
                return [
                    SealedValue(place=place(statements.column, row._asdict()), key=row.key, sealed=row.sealed)
                    for row in rows
                ]
        return []

    def reseal(self, values: Sequence[SealedValue]) -> Resealed:
        """Seal values under the newest data key, each guarded by its still being as it was found."""
        await_turn(self._connection)
        done = broken = 0
        for value in values:
            try:
                plaintext = self._vault.open(*value.place, value.sealed)
            except SealBroken:
                broken += 1
                continue
            resealed = self._vault.seal(*value.place, plaintext)
            replace = _COLUMNS[value.place[:2]].replace
            done += self._change(replace, of_key=value.key, found=value.sealed, resealed=resealed)
        return Resealed(done=done, broken=broken)
