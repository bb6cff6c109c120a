"""What must not happen to a session although something else has: a fault of ours, a row of an earlier leg, too much."""

import json
from typing import Any

import pytest
from sqlalchemy import select, update

from app.adapters.db.tables import browser_flows, sessions
from app.interaction import presented
from app.protocol.digest import digest
from app.records import BrowserFlow, Session
from tests.http.interactive import assert_code, assert_dead, assert_session_error, no_code
from tests.support.campus import MORE, Person, campus_university
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.raw_wallet import Browser, error_of
from tests.support.served import change, query
from tests.support.server import RunningServer

UNIVERSITY = "university"


def session_of(server: RunningServer, handle: str) -> Session:
    found = server.store(lambda store: store.sessions.by_auth_session(digest(handle)), UNIVERSITY)
    assert found is not None
    return found


def test_a_judgement_that_breaks_off_ends_the_session(
    campus_server: RunningServer, erika: InteractiveWallet, victim: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_: Any, **__: Any) -> Any:
        raise TypeError("nobody foresaw this")

    asked = erika.begin()
    session = session_of(campus_server, asked.json()["auth_session"])
    with monkeypatch.context() as patched, no_code(campus_server):
        patched.setattr(presented, "judge", break_off)
        answer = erika.show(asked, victim.pid)
        assert error_of(answer) == (500, "server_error")
        assert "foresaw" not in answer.text
    [status] = query(campus_server, select(sessions.c.status).where(sessions.c.session_id == session.session_id))
    assert tuple(status) == ("failed",)
    assert_dead(erika, asked, victim.pid)


@pytest.mark.rule("B-21")
def test_attempts_that_were_used_up_stay_used_up(
    campus_server: RunningServer, erika: InteractiveWallet, victim: Person
) -> None:
    """As a crash would leave it between the last count and the end of the session."""
    asked = erika.begin()
    session = session_of(campus_server, asked.json()["auth_session"])
    change(campus_server, update(sessions).where(sessions.c.session_id == session.session_id).values(attempts=5))
    with no_code(campus_server):
        assert_session_error(erika, erika.show(asked, victim.pid))


@pytest.mark.rule("B-21", "IA-53")
def test_a_session_whose_attempts_are_used_up_has_failed(
    campus_server: RunningServer, erika: InteractiveWallet
) -> None:
    asked = erika.begin()
    session = session_of(campus_server, asked.json()["auth_session"])
    row = select(sessions.c.status, sessions.c.completed_steps, sessions.c.presentation_data).where(
        sessions.c.session_id == session.session_id
    )
    for _ in range(4):
        assert error_of(erika.send(asked, "{")) == (400, "invalid_request")
    assert query(campus_server, row)[0][0] == "pending"
    assert error_of(erika.send(asked, "{")) == (400, "invalid_request")
    assert tuple(query(campus_server, row)[0]) == ("failed", None, None)


def test_a_browser_of_an_earlier_leg_begins_anew(
    campus_server: RunningServer, erika: InteractiveWallet, victim: Person
) -> None:
    erika.scope = "diploma"
    asked = erika.show(erika.begin(), victim.pid)
    session = session_of(campus_server, asked.json()["auth_session"])
    stale = BrowserFlow(
        flow_id="f" * 32,
        session_id=session.session_id,
        cookie_digest=digest("stale"),
        step_index=0,
        created_at=session.created_at,
        expires_at=session.expires_at,
    )
    campus_server.store(lambda store: store.browser_flows.create(stale), UNIVERSITY)
    browser = Browser()
    try:
        first = browser.get(erika.web_url(asked))
        assert first.status_code == 200
        name = next(iter(browser.http.cookies))
        browser.http.cookies.clear()
        browser.http.cookies.set(name, "stale")
        again = browser.get(erika.web_url(asked))
        assert again.status_code == 200
        assert again.headers["set-cookie"].startswith(f"{name}=")
        flows = query(
            campus_server, select(browser_flows.c.step_index).where(browser_flows.c.session_id == session.session_id)
        )
        assert sorted(index for (index,) in flows) == [0, 1, 1]
    finally:
        browser.close()


@pytest.mark.rule("AZ-19")
def test_of_details_no_more_is_kept_than_what_names_the_credential(
    campus_server: RunningServer, erika: InteractiveWallet, victim: Person
) -> None:
    entry = {"type": "openid_credential", "credential_configuration_id": "student-card", "x": "y" * 200_000}
    asked = erika.begin({"scope": None, "authorization_details": json.dumps([entry])})
    session = session_of(campus_server, asked.json()["auth_session"])
    assert session.authorization_details == [
        {"type": "openid_credential", "credential_configuration_id": "student-card"}
    ]
    assert_code(erika.show(asked, victim.pid))


@pytest.mark.rule("A-18")
@pytest.mark.parametrize(("person", "sees"), [("erika", True), ("max", False)])
def test_a_page_shows_what_was_presented_to_nobody_else(
    own_campus: RunningServer, own_victim: Person, person: str, sees: bool
) -> None:
    presented_name = {"from": "presentation", "step": "present", "credential": "pid", "path": ["given_name"]}
    linked = {"same_person": [[{"from": "user", "path": ["given_name"]}, presented_name]]}
    own_campus.apply(
        campus_university(
            changes={"credentials": {**MORE["credentials"], "award": MORE["credentials"]["award"] | linked}}
        )
    )
    with interactive_wallet(own_campus, holder=own_victim.holder, scope="award") as wallet:
        asked = wallet.show(wallet.begin(), own_victim.pid)
        browser = Browser()
        try:
            page = browser.sign_in(browser.get(wallet.web_url(asked)), person)
            assert page.status_code == 200
            assert ("Erika" in page.text) is sees
        finally:
            browser.close()
