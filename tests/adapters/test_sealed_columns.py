"""What is sealed lies sealed in the database, and opens only where it was put."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Column, Connection, LargeBinary, select, update

from app.adapters.db.engine import sqlite_file
from app.adapters.db.tables import SEALED as SEALED_COLUMNS
from app.adapters.db.tables import data_keys, metadata, repeatable_answers
from app.adapters.vault import SealBroken
from app.interaction.evidence import Evidence
from app.interaction.plan import ClaimValue, PlannedCredential
from app.protocol.digest import digest
from app.records import PresentationData
from tests.support import records
from tests.support.database import OpenedDatabase
from tests.support.postgres import dump
from tests.support.records import NO_ROW, NOW

CANARY = "canary-of-44-characters-that-is-nowhere-else"


def secret(name: str) -> str:
    return f"{CANARY}-{name}"


AUTHORIZATION = msgspec.structs.replace(
    records.AUTHORIZATION,
    authorization_details=[{"type": secret("granted details")}],
    credentials=[
        msgspec.structs.replace(
            records.AUTHORIZATION.credentials[0], claims=[ClaimValue(("name",), secret("granted claim"), "selective")]
        )
    ],
)
SESSION = records.session(
    state=secret("state"),
    authorization_details=[{"type": secret("details")}],
    presentation_data=PresentationData(secret("nonce of a presentation")),
    plan=msgspec.structs.replace(
        records.session().plan, credentials=[PlannedCredential("pid", secret("plan"), claims=[])]
    ),
    completed_steps=Evidence(results={"login": {"found": secret("step")}}),
)
USER = records.user(
    username=secret("user name"), password_hash=secret("hash"), demo_hint=secret("hint"), claims={"a": secret("claim")}
)


def fill(store: Any) -> None:
    store.sessions.create(SESSION)
    store.browser_flows.create(records.flow(results={"login": secret("result")}))
    store.codes.create(records.code(authorization=AUTHORIZATION))
    store.grants.create(records.grant(authorization=AUTHORIZATION))
    store.users.replace_all([USER])
    store.users.count_login_attempt(secret("user name"), now=NOW, limit=5, window=60)
    store.signing_keys.add(records.signing_key(private_key=secret("private key").encode()))
    store.documents.add(records.document(secret("document")), now=NOW, fingerprint=digest("source"))
    store.spent.spend("c_nonce", secret("nonce"), expires_at=NOW, otherwise=NO_ROW)


# Each sealed column and the look-up that opens it.
OPENED_BY: dict[str, Callable[[Any], Any]] = {
    "sessions.state": lambda s: s.sessions.by_id("session-1"),
    "sessions.authorization_details": lambda s: s.sessions.by_id("session-1"),
    "sessions.presentation_data": lambda s: s.sessions.by_id("session-1"),
    "sessions.plan": lambda s: s.sessions.by_id("session-1"),
    "sessions.completed_steps": lambda s: s.sessions.by_id("session-1"),
    "browser_flows.results": lambda s: s.browser_flows.by_cookie(digest("cookie")),
    "authorization_codes.authorization": lambda s: s.codes.by_digest(digest("code")),
    "grants.authorization": lambda s: s.grants.by_id("grant-1"),
    "users.person": lambda s: s.users.by_id("user-1"),
    "signing_keys.private_key": lambda s: s.signing_keys.all(),
    "document_revisions.document": lambda s: s.documents.current(),
}
SEALED = {str(column): column for column in SEALED_COLUMNS}


def value_of(column: Column[Any], tenant_id: str) -> Callable[[Connection], bytes]:
    statement = select(column).where(column.table.c.tenant_id == tenant_id)
    return lambda connection: bytes(connection.execute(statement).scalar_one())


def put(column: Column[Any], tenant_id: str, value: bytes) -> Callable[[Connection], Any]:
    statement = update(column.table).where(column.table.c.tenant_id == tenant_id).values({column.name: value})
    return lambda connection: connection.execute(statement)


def test_every_sealed_column_is_tried() -> None:
    assert SEALED.keys() == OPENED_BY.keys()


def test_octets_that_are_no_digest_are_sealed() -> None:
    unsealed = [
        column
        for table in metadata.tables.values()
        for column in table.c
        if isinstance(type_ := column.type, LargeBinary) and type_.length is None and str(column) not in SEALED
    ]
    # Wrapped by a master key; sealed by a key that only a wallet has.
    assert unsealed == [data_keys.c.wrapped, repeatable_answers.c.sealed]


@pytest.mark.rule("M-12", "M-14")
@pytest.mark.parametrize("name", OPENED_BY)
async def test_a_value_from_elsewhere_is_refused_and_the_others_still_open(database: OpenedDatabase, name: str) -> None:
    a, b = await database.make_tenant("a"), await database.make_tenant("b")
    await database.write(a, fill)
    await database.write(b, fill)
    column, look_up = SEALED[name], OPENED_BY[name]
    own = await database.sql(value_of(column, a.tenant_id))
    another = next(other for other in SEALED.values() if other is not column)
    elsewhere = [
        await database.sql(value_of(column, b.tenant_id)),
        await database.sql(value_of(another, a.tenant_id)),
        b'{"scope":"pid","authorization_details":null,"credentials":[]}',
        b"\x00" + own[1:],
    ]
    for value in elsewhere:
        await database.sql(put(column, a.tenant_id, value))
        with pytest.raises(SealBroken):
            await database.read(a, look_up)
        assert await database.read(b, look_up) is not None
    await database.sql(put(column, a.tenant_id, own))
    assert await database.read(a, look_up) == await database.read(b, look_up)


@pytest.mark.rule("M-12")
async def test_a_value_from_another_row_of_the_tenant_is_refused(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def two_grants(store: Any) -> None:
        store.grants.create(records.grant())
        store.grants.create(records.grant(grant_id="grant-2"))

    await database.write(tenant, two_grants)
    grants = metadata.tables["grants"]
    stolen = select(grants.c.authorization).where(grants.c.grant_id == "grant-1").scalar_subquery()
    swap = update(grants).where(grants.c.grant_id == "grant-2").values({"authorization": stolen})
    await database.sql(lambda connection: connection.execute(swap))
    with pytest.raises(SealBroken):
        await database.read(tenant, lambda store: store.grants.by_id("grant-2"))
    assert await database.read(tenant, lambda store: store.grants.by_id("grant-1")) == records.grant()


@pytest.mark.rule("M-13")
async def test_what_an_earlier_step_left_does_not_open_at_a_later_one(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, fill)
    names = ["sessions.completed_steps", "sessions.presentation_data", "browser_flows.results"]
    columns = [SEALED[name] for name in names]
    before = [await database.sql(value_of(column, tenant.tenant_id)) for column in columns]

    def step(store: Any) -> None:
        store.sessions.advance(SESSION, msgspec.structs.replace(SESSION, step_index=1), now=NOW, otherwise=NO_ROW)
        assert store.browser_flows.advance(records.flow(), step_index=1, user_id=None, results={})

    await database.write(tenant, step)
    for column, earlier in zip(columns, before, strict=True):
        current = await database.sql(value_of(column, tenant.tenant_id))
        await database.sql(put(column, tenant.tenant_id, earlier))
        with pytest.raises(SealBroken):
            await database.read(tenant, OPENED_BY[str(column)])
        await database.sql(put(column, tenant.tenant_id, current))
        assert await database.read(tenant, OPENED_BY[str(column)]) is not None


@pytest.mark.rule("M-16")
async def test_no_secret_is_in_the_database_files(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, fill)
    for look_up in OPENED_BY.values():
        assert CANARY in str(await database.read(tenant, look_up))
    if (file := sqlite_file(database.url)) is not None:
        stored = b"".join(part.read_bytes() for part in file.parent.glob("vestibule.db*"))
    else:
        stored = dump(database.url)
    assert tenant.tenant_id.encode() in stored
    for spelling in (CANARY.encode(), CANARY.encode().hex().encode()):
        assert spelling not in stored
