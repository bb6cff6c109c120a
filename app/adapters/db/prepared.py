"""Statements compiled once: what SQLAlchemy built, as a driver takes it."""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

from msgspec import Struct
from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import NULLTYPE, TypeEngine

_KEPT: Final = 512
"""Statements kept: more than the service has."""

LOCKS: Final = "locks"
"""The execution option of a SELECT that locks something until the transaction ends, and does not say FOR UPDATE."""

Convert = Callable[[Any], Any]


class Row(Protocol):
    """A named tuple: the columns of a statement in its order, and each by its name."""

    def __getattr__(self, name: str) -> Any: ...

    def _asdict(self) -> dict[str, Any]: ...


class Prepared(Struct, frozen=True):
    """A statement for one kind of database."""

    sql: str
    names: list[str]
    """Of its parameters, in order."""
    constants: dict[str, Any]
    """Values of parameters that the statement brings along."""
    encode: list[tuple[int, Convert]]
    """What a parameter goes through, by its place."""
    row: Any
    """The named tuple of its rows; None where it returns none."""
    table: str
    """That it changes; empty where it changes none."""
    only_adds: bool
    """Whether it makes rows and touches none that is there."""
    is_insert: bool
    only_looks: bool
    """Whether it changes nothing and locks nothing: it needs no transaction."""
    decode: list[tuple[int, Convert]]
    """What a column goes through, by its place."""

    def values(self, binds: Mapping[str, Any]) -> list[Any]:
        """Return the parameters in order."""
        values = [binds[name] if name in binds else self.constants[name] for name in self.names]
        for index, encode in self.encode:
            values[index] = encode(values[index])
        return values

    def rows(self, found: Sequence[Any]) -> list[Row]:
        """Return rows as the driver gives them with their names."""
        if self.decode:
            found = [list(values) for values in found]
            for index, decode in self.decode:
                for values in found:
                    values[index] = decode(values[index])
        return [self.row._make(values) for values in found]


@lru_cache(_KEPT)
def prepare(dialect: Dialect, statement: Any, names: tuple[str, ...]) -> Prepared:
    """Compile a statement that gets these parameters; those of an INSERT are its columns too.

    Raises ValueError for one with a list of values, whose text depends on their number.
    """
    compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=list(names))
    if compiled.post_compile_params:
        raise ValueError("a list of values cannot be prepared")
    order: list[str] = compiled.positiontup or []
    columns = list(getattr(statement, "exported_columns", ()))
    sql, locks = str(compiled), statement.get_execution_options().get(LOCKS, False)
    return Prepared(
        sql=sql,
        names=order,
        constants={name: bind.value for name, bind in compiled.binds.items() if not bind.required},
        encode=[
            (index, encode)
            for index, name in enumerate(order)
            if (encode := _in(dialect, compiled.binds[name].type).bind_processor(dialect)) is not None
        ],
        row=namedtuple("Row", [column.name for column in columns]) if columns else None,
        table=str(statement.table.name) if statement.is_dml else "",
        is_insert=statement.is_dml and statement.is_insert,
        only_looks=sql.startswith("SELECT ") and " FOR " not in sql and not locks,
        only_adds=statement.is_dml and statement.is_insert and "DO UPDATE" not in sql,
        decode=[
            (index, decode)
            for index, column in enumerate(columns)
            if (decode := _in(dialect, column.type).result_processor(dialect, None)) is not None
        ],
    )


def _in(dialect: Dialect, type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return a type as this kind of database has it; octets are octets to both drivers."""
    return NULLTYPE if isinstance(type_, LargeBinary) else type_.dialect_impl(dialect)
