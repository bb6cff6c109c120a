"""Interactive sessions of two tenants on one origin: nothing of one works, shows or counts at the other."""

import json
from collections.abc import Iterator

import pytest

from tests.http.interactive import assert_code, assert_dead, assert_denied, assert_live, assert_session_error, no_code
from tests.http.refusals import assert_oauth_refused
from tests.http.told import told
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.presented import PID_ISSUER
from tests.support.server import RunningServer


@pytest.fixture
def elsewhere(campus_server: RunningServer, speaker: InteractiveWallet) -> Iterator[InteractiveWallet]:
    """The same wallet, same `client_id` and keys, at `college`, which asks for the same and trusts the same."""
    same = {"key": speaker.key, "holder": speaker.holder, "verifier": speaker.verifier, "urn": speaker.urn}
    with interactive_wallet(campus_server, "college", **same) as wallet:
        yield wallet


@pytest.mark.rule("M-03", "G-08", "IA-47")
def test_a_handle_is_unknown_at_the_other_tenant(
    campus_server: RunningServer, speaker: InteractiveWallet, elsewhere: InteractiveWallet, victim: Person
) -> None:
    asked = speaker.begin()
    shown = json.dumps({"vp_token": {"pid": [speaker.present(asked, victim.pid)]}})
    with no_code(campus_server):
        for changes in ({"openid4vp_response": shown}, {"openid4vp_response": "x"}, {}, {"code_verifier": "v" * 43}):
            assert_session_error(elsewhere, elsewhere.follow_up(asked, changes))
    assert_code(speaker.send(asked, shown))


@pytest.mark.rule("M-03")
def test_nor_is_one_that_a_browser_brought_back(
    speaker: InteractiveWallet, elsewhere: InteractiveWallet, victim: Person
) -> None:
    speaker.scope = "alumni-card"
    handle = speaker.agree(speaker.show(speaker.begin(), victim.pid))["auth_session"]
    verifier = {"code_verifier": speaker.verifier}
    assert_session_error(elsewhere, elsewhere.follow_up(handle, verifier))
    assert speaker.follow_up(handle, verifier).status_code == 200


@pytest.mark.rule("M-03")
def test_nor_a_request_uri(speaker: InteractiveWallet, elsewhere: InteractiveWallet, victim: Person) -> None:
    speaker.scope = "diploma"
    asked = speaker.show(speaker.begin(), victim.pid)
    refused = elsewhere.http.get(elsewhere.web_url(asked))
    assert refused.status_code == 400
    unknown = elsewhere.web_url(asked)[:-4] + "xxxx"
    assert told(refused) == told(elsewhere.http.get(unknown))
    assert "code" in speaker.agree(asked)


@pytest.mark.rule("M-03", "M-01")
def test_nor_a_code_that_was_told_in_json(
    speaker: InteractiveWallet, elsewhere: InteractiveWallet, victim: Person
) -> None:
    code = assert_code(speaker.show(speaker.begin(), victim.pid))
    assert_oauth_refused(elsewhere.exchange(code), 400, "invalid_grant")
    assert speaker.exchange(code).status_code == 200


@pytest.mark.rule("M-03", "B-01")
def test_nor_an_answer_that_was_lost(speaker: InteractiveWallet, elsewhere: InteractiveWallet, victim: Person) -> None:
    asked = speaker.begin()
    form = {"openid4vp_response": json.dumps({"vp_token": {"pid": [speaker.present(asked, victim.pid)]}})}
    answer = speaker.follow_up(asked, form)
    assert_session_error(elsewhere, elsewhere.follow_up(asked, form))
    assert speaker.follow_up(asked, form).json() == answer.json()


@pytest.mark.rule("M-05", "VPB-03")
def test_a_presentation_for_one_tenant_in_a_session_of_the_other(
    campus_server: RunningServer, speaker: InteractiveWallet, elsewhere: InteractiveWallet, victim: Person
) -> None:
    here, there = speaker.begin(), elsewhere.begin()
    shown = speaker.present(here, victim.pid)
    with no_code(campus_server):
        # Right audience (they share the origin), right wallet, right holder, live nonce: only it is of another tenant.
        assert_denied(elsewhere.respond(there, shown))
        assert_dead(elsewhere, there, victim.pid)
    assert_code(speaker.respond(here, shown))


@pytest.mark.rule("M-05")
def test_nobody_outside_chooses_a_nonce_or_an_audience(
    speaker: InteractiveWallet, elsewhere: InteractiveWallet, victim: Person
) -> None:
    nonce = speaker.begin().json()["openid4vp_request"]["nonce"]
    wishes = {
        "nonce": nonce,
        "client_metadata": "{}",
        "expected_origins": "https://evil.example",
        "dcql_query": "{}",
        "openid4vp_request": json.dumps({"nonce": nonce}),
        "transaction_data": "x",
        "jkt": "x",
        "response_mode": "direct_post",
        "state": nonce,
    }
    usual = elsewhere.begin().json()["openid4vp_request"]
    asked = elsewhere.begin(wishes)
    request = asked.json()["openid4vp_request"]
    assert request["nonce"] not in (nonce, usual["nonce"])
    assert {**request, "nonce": ""} == {**usual, "nonce": ""}
    assert_live(elsewhere, asked, victim.pid)


class TestTrust:
    @pytest.mark.rule("M-21", "A-22")
    def test_an_authority_counts_at_the_tenant_that_names_it(
        self, campus_server: RunningServer, victim: Person
    ) -> None:
        with (
            interactive_wallet(campus_server, "academy") as academy,
            interactive_wallet(campus_server, "university", holder=academy.holder) as university,
        ):
            outside = PID_ISSUER.issue(holder=academy.holder.private).text
            # Its cache is warm with this authority when the other tenant is asked, and the other way round.
            for _ in range(2):
                assert_code(academy.show(academy.begin(), outside))
                with no_code(campus_server):
                    asked = university.begin()
                    assert_denied(university.show(asked, outside))
                    assert_dead(university, asked, outside)
                    asked = academy.begin()
                    assert_denied(academy.show(asked, victim.pid, key=victim.holder))
                    assert_dead(academy, asked, outside)
                assert_code(university.show(university.begin(), victim.pid, key=victim.holder))
