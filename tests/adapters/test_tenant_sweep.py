"""Every repository method, called as one tenant on another's rows, sees nothing and changes nothing there."""

import inspect
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, delete, func, select

from app.adapters.db.store import SqlTenantStore
from app.adapters.db.tables import browser_flows, issuances, metadata
from app.interaction.machine import Status
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.records import AuditEvent, Resealed, SealedValue
from tests.support import records
from tests.support.database import OpenedDatabase
from tests.support.insider import REFUSED_BY_DATABASE
from tests.support.records import NO_ROW, NOW

EVENT = AuditEvent(event_id="event-1", occurred_at=NOW, kind="issued", subject="grant-1")

SESSION = records.session(auth_session_digest=digest("auth session"))


class ForeignRow(Exception):
    """Stands for what a foreign key raises."""


# Method → the call with A's identifiers and what the other tenant gets: a value, or an exception.
CASES: dict[str, tuple[Callable[[Any], Any], object]] = {
    "sessions.create": (lambda s: s.sessions.create(records.session()), None),
    "sessions.by_request_uri": (lambda s: s.sessions.by_request_uri(digest("request uri")), None),
    "sessions.by_id": (lambda s: s.sessions.by_id("session-1"), None),
    "sessions.by_auth_session": (lambda s: s.sessions.by_auth_session(digest("auth session")), None),
    "sessions.advance": (
        lambda s: s.sessions.advance(SESSION, records.session(status=Status.FAILED), now=NOW, otherwise=NO_ROW),
        Refusal,
    ),
    "sessions.count_attempt": (lambda s: s.sessions.count_attempt(SESSION), None),
    "repeatable_answers.keep": (lambda s: s.repeatable_answers.keep(records.answer()), ForeignRow),
    "repeatable_answers.find": (lambda s: s.repeatable_answers.find(records.answer().handle_digest), None),
    "repeatable_answers.take": (lambda s: s.repeatable_answers.take(records.answer()), False),
    "browser_flows.create": (lambda s: s.browser_flows.create(records.flow(flow_id="new")), ForeignRow),
    "browser_flows.by_cookie": (lambda s: s.browser_flows.by_cookie(digest("cookie")), None),
    "browser_flows.advance": (
        lambda s: s.browser_flows.advance(records.flow(), step_index=1, user_id=None, results={}),
        False,
    ),
    "browser_flows.end_all": (lambda s: s.browser_flows.end_all("session-1"), None),
    "codes.create": (lambda s: s.codes.create(records.code()), None),
    "codes.by_digest": (lambda s: s.codes.by_digest(digest("code")), None),
    "codes.spend": (lambda s: s.codes.spend(records.code(), grant_id="grant-1", now=NOW, otherwise=NO_ROW), Refusal),
    "grants.create": (lambda s: s.grants.create(records.grant()), None),
    "grants.by_id": (lambda s: s.grants.by_id("grant-1"), None),
    "grants.revoke": (lambda s: s.grants.revoke("grant-1", now=NOW), False),
    "grants.take_credential": (
        lambda s: s.grants.take_credential(records.grant(), now=NOW, otherwise=lambda: NO_ROW),
        Refusal,
    ),
    "grants.issued": (lambda s: s.grants.issued("grant-1", "pid"), 0),
    "grants.record_issuance": (lambda s: s.grants.record_issuance(records.issuance()), ForeignRow),
    "grants.create_access_token": (lambda s: s.grants.create_access_token(records.access_token()), ForeignRow),
    "grants.by_access_token": (lambda s: s.grants.by_access_token("token-1"), None),
    "spent.spend": (lambda s: s.spent.spend("c_nonce", "value", expires_at=NOW, otherwise=NO_ROW), None),
    "users.by_username": (lambda s: s.users.by_username("erika"), None),
    "users.by_id": (lambda s: s.users.by_id("user-1"), None),
    "users.all": (lambda s: s.users.all(), []),
    "users.demo_hints": (lambda s: s.users.demo_hints(), []),
    "users.replace_all": (lambda s: s.users.replace_all([]), None),
    "users.count_login_attempt": (
        lambda s: s.users.count_login_attempt("erika", now=NOW, limit=1, window=900),
        True,
    ),
    "users.clear_login_attempts": (lambda s: s.users.clear_login_attempts("erika"), None),
    "signing_keys.all": (lambda s: s.signing_keys.all(), []),
    "signing_keys.add": (lambda s: s.signing_keys.add(records.signing_key()), None),
    "signing_keys.retire": (lambda s: s.signing_keys.retire("key-1", now=NOW), False),
    "documents.current": (lambda s: s.documents.current(), LookupError),
    "documents.add": (lambda s: s.documents.add(records.document("B"), now=NOW, fingerprint=b"f"), 1),
    "documents.fingerprint": (lambda s: s.documents.fingerprint(b"source") != FINGERPRINT[0], True),
    "documents.current_fingerprint": (lambda s: s.documents.current_fingerprint(), None),
    "sealed_values.under_older_keys": (lambda s: s.sealed_values.under_older_keys(limit=1), []),
    "sealed_values.reseal": (lambda s: s.sealed_values.reseal(SEALED), Resealed(done=0, broken=1)),
    "audit.append": (lambda s: s.audit.append(EVENT), None),
}
FINGERPRINT: list[bytes] = []
SEALED: list[SealedValue] = []


def methods() -> Iterator[str]:
    """Yield every public method of every repository as `repository.method`."""
    for name, member in vars(SqlTenantStore).items():
        if isinstance(member, cached_property):
            repository = inspect.signature(member.func).return_annotation
            for method, _ in inspect.getmembers(repository, inspect.isfunction):
                if not method.startswith("_"):
                    yield f"{name}.{method}"


def fill(store: Any) -> None:
    store.sessions.create(SESSION)
    store.repeatable_answers.keep(records.answer())
    store.browser_flows.create(records.flow())
    store.codes.create(records.code())
    store.grants.create(records.grant())
    store.grants.create_access_token(records.access_token())
    store.grants.record_issuance(records.issuance())
    store.spent.spend("c_nonce", "value", expires_at=NOW, otherwise=NO_ROW)
    store.users.replace_all([records.user()])
    store.users.count_login_attempt("erika", now=NOW, limit=1, window=900)
    store.signing_keys.add(records.signing_key())
    FINGERPRINT[:] = [store.documents.fingerprint(b"source")]
    store.documents.add(records.document(), now=NOW, fingerprint=FINGERPRINT[0])
    store.audit.append(EVENT)


def rows_of(tenant_id: str) -> Callable[[Connection], dict[str, list[Any]]]:
    return lambda connection: {
        table.name: list(connection.execute(select(table).where(table.c.tenant_id == tenant_id)))
        for table in metadata.sorted_tables
    }


def test_no_method_is_left_out() -> None:
    assert sorted(methods()) == sorted(CASES)


async def trespasses(database: OpenedDatabase, method: str) -> list[str]:
    """Call a method as B with A's identifiers; say what it saw or changed of A."""
    a, b = await database.make_tenant("a"), await database.make_tenant("b")
    await database.write(a, fill)
    # So that A's values would count as sealed under an older one.
    await database.transactions.write(lambda connection: database.vaults.add_data_key(connection, b.tenant_id, now=NOW))
    before = await database.sql(rows_of(a.tenant_id))
    assert all(before.values())
    place = ("grants", "authorization", "grant-1")
    SEALED[:] = [SealedValue(place=place, key="grant-1", sealed=before["grants"][0].authorization)]
    call, expected = CASES[method]
    got: object
    try:
        got = await database.write(b, call)
    except REFUSED_BY_DATABASE:
        got = ForeignRow
    except Exception as problem:
        got = type(problem)
    found = [] if got == expected else [f"saw {got!r}"]
    after = await database.sql(rows_of(a.tenant_id))
    return found + [f"changed {name}" for name in before if before[name] != after[name]]


@pytest.mark.rule("M-01", "M-03")
@pytest.mark.parametrize("method", CASES)
async def test_another_tenant_sees_and_changes_nothing(database: OpenedDatabase, method: str) -> None:
    assert await trespasses(database, method) == []


@pytest.mark.parametrize(
    ("method", "statement", "planted"),
    [
        (
            "grants.issued",
            "_ISSUED",
            select(func.count().label("issued")).where(issuances.c.grant_id == bindparam("of_grant")),
        ),
        (
            "browser_flows.end_all",
            "_END_ALL",
            delete(browser_flows).where(browser_flows.c.session_id == bindparam("of_session")),
        ),
    ],
    ids=["look-up", "deletion"],
)
async def test_a_statement_without_the_tenant_would_be_seen(
    sqlite_database: OpenedDatabase, monkeypatch: pytest.MonkeyPatch, method: str, statement: str, planted: Any
) -> None:
    monkeypatch.setattr(f"app.adapters.db.{method.partition('.')[0]}.{statement}", planted)
    assert await trespasses(sqlite_database, method) != []
