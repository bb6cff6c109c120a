"""A fault between the writes that end a session: all of them are there, or none."""

from typing import Any

import pytest
from sqlalchemy import select

from app.adapters.db.audit import SqlAuditTrail
from app.adapters.db.codes import SqlAuthorizationCodes
from app.adapters.db.repeatable_answers import SqlRepeatableAnswers
from app.adapters.db.tables import audit_events, authorization_codes
from app.interaction.evidence import Evidence
from app.interaction.machine import Status
from app.ports import DatabaseUnavailable
from app.protocol.digest import digest
from app.records import AuthorizationCode, Session
from app.storage import TenantStore
from tests.http.interactive import assert_code, assert_session_error
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.served import query
from tests.support.server import RunningServer

UNIVERSITY = "university"


def lose_the_database_after(monkeypatch: pytest.MonkeyPatch, repository: type, method: str, **only: Any) -> None:
    """Let a write happen, and the connection break behind it, before the commit."""
    write = getattr(repository, method)

    def written_then_lost(self: Any, written: Any) -> None:
        write(self, written)
        if all(getattr(written, name) == value for name, value in only.items()):
            raise DatabaseUnavailable("away")

    monkeypatch.setattr(repository, method, written_then_lost)


@pytest.mark.rule("OUT-01")
@pytest.mark.parametrize(
    ("repository", "method", "only"),
    [
        (SqlAuthorizationCodes, "create", {}),
        (SqlAuditTrail, "append", {"kind": "code_issued"}),
        (SqlRepeatableAnswers, "keep", {}),
    ],
)
def test_a_session_does_not_end_by_halves(
    campus_server: RunningServer,
    erika: InteractiveWallet,
    victim: Person,
    monkeypatch: pytest.MonkeyPatch,
    repository: type,
    method: str,
    only: dict[str, Any],
) -> None:
    asked = erika.begin()
    handle = asked.json()["auth_session"]

    def session(store: TenantStore) -> Session | None:
        return store.sessions.by_auth_session(digest(handle))

    before = campus_server.store(session, UNIVERSITY)
    assert before is not None
    with monkeypatch.context() as fault:
        lose_the_database_after(fault, repository, method, **only)
        assert erika.show(asked, victim.pid).status_code == 503
    # What was committed before it is the claim: the nonce is spent.
    after = campus_server.store(session, UNIVERSITY)
    assert after is not None
    assert (after.status, after.completed_steps) == (Status.PRESENTATION_RECEIVED, Evidence())
    assert codes_of(campus_server, before) == []
    issued = select(audit_events).where(
        audit_events.c.subject == before.session_id, audit_events.c.kind == "code_issued"
    )
    assert query(campus_server, issued) == []
    assert campus_server.store(lambda store: store.repeatable_answers.find(digest(handle)), UNIVERSITY) is None
    assert_session_error(erika, erika.show(asked, victim.pid))


@pytest.mark.rule("OUT-01")
def test_the_code_holds_the_claims_and_the_key_they_were_presented_by(
    campus_server: RunningServer, erika: InteractiveWallet, victim: Person
) -> None:
    code = assert_code(erika.show(erika.begin(), victim.pid))

    def stored(store: TenantStore) -> tuple[AuthorizationCode | None, Session | None]:
        found = store.codes.by_digest(digest(code))
        return found, store.sessions.by_id(found.session_id) if found is not None else None

    found, session = campus_server.store(stored, UNIVERSITY)
    assert found is not None
    assert found.authorization is not None
    [granted] = found.authorization.credentials
    assert granted.claims != []
    assert granted.holder_binding is not None
    assert [one.holder_jkt for one in granted.holder_binding.presented] == [victim.holder.thumbprint]
    assert session is not None
    assert (session.status, session.completed_steps) == (Status.CODE_ISSUED, Evidence())


def codes_of(server: RunningServer, session: Session) -> list[Any]:
    return list(
        query(server, select(authorization_codes).where(authorization_codes.c.session_id == session.session_id))
    )
