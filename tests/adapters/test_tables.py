"""The tables themselves: tenant first everywhere, an index for every look-up, the migrations make just these."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    Column,
    Connection,
    Delete,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    UniqueConstraint,
    Update,
    text,
)
from sqlalchemy.types import Boolean, Integer, LargeBinary, NullType

import app.adapters.db
from app.adapters.db import expiry, migrate, platform, sealed_values
from app.adapters.db.catalogue import catalogue
from app.adapters.db.tables import metadata, tenants
from tests.support.database import OpenedDatabase, opened

TABLES = list(metadata.tables.values())


def keys_without_tenant(table: Table) -> list[str]:
    """Name the keys of a table that could reach from one tenant to another."""
    found = []
    for key in table.constraints:
        if isinstance(key, PrimaryKeyConstraint | UniqueConstraint) and next(iter(key.columns)).name != "tenant_id":
            found.append(str(key.name))
        if isinstance(key, ForeignKeyConstraint):
            pairs = [(element.parent.name, element.column.name) for element in key.elements]
            whole = {target for _, target in pairs} == set(key.referred_table.primary_key.columns.keys())
            if pairs[0] != ("tenant_id", "tenant_id") or not whole:
                found.append(str(key.name))
    return found


@pytest.mark.rule("M-01", "M-10")
@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_key_begins_with_the_tenant(table: Table) -> None:
    allowed = {"uq_tenants_slug", "uq_tenants_origin"} if table is tenants else set()
    assert set(keys_without_tenant(table)) == allowed


def test_a_key_without_the_tenant_would_be_seen() -> None:
    planted = MetaData()
    parent = Table("parent", planted, Column("tenant_id", String), Column("id", String, primary_key=True))
    child = Table(
        "child",
        planted,
        Column("tenant_id", String, primary_key=True),
        Column("id", String, primary_key=True),
        Column("parent_id", String),
        UniqueConstraint("parent_id"),
        ForeignKeyConstraint(["parent_id"], ["parent.id"]),
    )
    assert len(keys_without_tenant(parent)) == 1
    assert len(keys_without_tenant(child)) == 2


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_times_are_numbers_and_expiry_is_indexed(table: Table) -> None:
    for column in table.columns:
        if column.name.endswith("_at"):
            assert str(column.type) == "BIGINT"
    if "expires_at" in table.columns:
        assert ["expires_at"] in [list(index.columns.keys()) for index in table.indexes]


def statements() -> Iterator[tuple[str, Select[Any] | Update | Delete]]:
    """Yield every prebuilt statement of the repositories that looks something up."""
    for module_info in pkgutil.iter_modules(app.adapters.db.__path__):
        module = importlib.import_module(f"app.adapters.db.{module_info.name}")
        for name, value in vars(module).items():
            if isinstance(value, Select | Update | Delete):
                yield f"{module_info.name}.{name}", value
    yield from ((f"erasure of {one.table}", one) for one in expiry._ERASURES)
    yield from ((f"expiry of {one.table}", one) for one in expiry._DELETIONS)
    yield from ((f"deletion of {one.table}", one) for one in platform._DELETE_ROWS)
    for one in sealed_values._COLUMNS.values():
        yield f"what is sealed in {one.column}", one.find
        yield f"resealing of {one.column}", one.replace


STATEMENTS = dict(statements())
READS_EVERYTHING = {"platform._ALIVE", "vaults._WRAPPED_BY", "vaults._WRAPPED_BY_ANOTHER", "platform._DELETED_LATELY"}
"""All tenants, all data keys: at start, for the command and the admin API, and by a job once a minute."""
READS_NO_ROW = {"transactions._TAKE_TURN", "platform._ANY"}
"""A lock that is no row's; whether there is a row at all."""


def plan(connection: Connection, statement: Any) -> str:
    examples = {LargeBinary: b"x" * 32, Boolean: True, Integer: 1, NullType: 1}
    compiled = statement.compile(dialect=connection.dialect)
    binds = {
        name: next((example for type_, example in examples.items() if isinstance(bind.type, type_)), "x")
        for name, bind in compiled.binds.items()
        if bind.required
    }
    expanded = compiled.construct_expanded_state(binds)
    explain = "EXPLAIN QUERY PLAN"
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN"
    values = tuple(expanded.positional_parameters)
    return "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {expanded.statement}", values))


def test_every_repository_is_looked_at() -> None:
    assert len(STATEMENTS) > 50


@pytest.mark.parametrize("name", sorted(STATEMENTS.keys() - READS_EVERYTHING - READS_NO_ROW))
async def test_every_look_up_is_indexed(database: OpenedDatabase, name: str) -> None:
    found = await database.sql(lambda connection: plan(connection, STATEMENTS[name]))
    assert re.search(r"SEARCH|Index", found), found
    assert not re.search(r"\bSCAN\b|Seq Scan", found), found


async def test_an_unindexed_look_up_would_be_seen(database: OpenedDatabase) -> None:
    unindexed = tenants.select().where(tenants.c.status == "active")
    found = await database.sql(lambda connection: plan(connection, unindexed))
    assert re.search(r"\bSCAN\b|Seq Scan", found)


async def test_the_migrations_make_these_tables(database: OpenedDatabase) -> None:
    def differences(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    assert await database.sql(differences) == []


async def test_the_migrations_make_these_constraints(empty_database_url: str, tmp_path: Any) -> None:
    """CHECK constraints included, which Alembic's comparison leaves out."""

    def parts(connection: Connection) -> dict[str, Any]:
        found = {
            name: definition
            for name, definition in catalogue(connection).items()
            if "alembic_version" not in name and not name.startswith(("trigger", "function"))
        }
        # SQLite keeps the statement; the order of a table's constraints is no difference.
        return {name: sorted(re.split(r", (?=CONSTRAINT)|(?= \)$)", text)) for name, text in found.items()}

    def made_from_metadata(connection: Connection) -> dict[str, Any]:
        metadata.create_all(connection)
        made = parts(connection)
        metadata.drop_all(connection)
        return made

    async with opened(empty_database_url) as database:
        expected = await database.sql(made_from_metadata)
    await migrate.upgrade(empty_database_url)
    async with opened(empty_database_url) as database:
        migrated = await database.sql(parts)
    assert len(expected) > 25
    assert migrated == expected
