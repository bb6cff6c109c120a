"""Follow-ups at the interactive endpoint: who may send what when, and what a refused one leaves behind."""

import json

import pytest

from tests.http.interactive import (
    assert_asks_for_browser,
    assert_asks_for_presentation,
    assert_code,
    assert_dead,
    assert_denied,
    assert_kept_by,
    assert_live,
    assert_session_error,
    no_code,
)
from tests.http.refusals import assert_kept, assert_oauth_refused
from tests.http.state import count_rows
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.raw_wallet import Key
from tests.support.server import RunningServer

PREFIX = "urn:ietf:params:oauth:request_uri:"
DETAILS = json.dumps([{"type": "openid_credential", "credential_configuration_id": "diploma"}])


class TestTheWayThrough:
    @pytest.mark.rule("D1-03", "IA-14", "IA-44")
    def test_a_presentation_alone_ends_with_a_code(self, erika: InteractiveWallet, victim: Person) -> None:
        code = assert_code(erika.show(erika.begin(), victim.pid))
        assert_kept(erika, code)

    @pytest.mark.rule("D2-04")
    def test_with_urns_it_ends_the_same(self, erika: InteractiveWallet, victim: Person) -> None:
        erika.urn = True
        assert_kept(erika, assert_code(erika.show(erika.begin(), victim.pid)))

    @pytest.mark.rule("IA-11", "IA-12", "B-08")
    def test_every_answer_has_a_handle_of_its_own_and_the_last_one_counts(
        self, speaker: InteractiveWallet, victim: Person
    ) -> None:
        speaker.scope = "diploma"
        first = speaker.begin()
        second = speaker.show(first, victim.pid)
        assert_asks_for_browser(speaker, second)
        assert first.json()["auth_session"] != second.json()["auth_session"]
        # Another body than the one that was accepted: no repetition.
        assert_session_error(speaker, speaker.follow_up(first))
        assert_session_error(speaker, speaker.show(first, victim.pid))
        assert "code" in speaker.agree(second)

    @pytest.mark.rule("IA-15")
    @pytest.mark.parametrize(
        "repeated",
        [
            {"client_id": "demo-wallet"},
            {"response_type": "code"},
            {"state": "st&te+1"},
            {"redirect_uri": "http://localhost:9555/callback"},
            {"x_unknown": "1"},
        ],
    )
    def test_what_is_repeated_as_it_was_changes_nothing(
        self, erika: InteractiveWallet, victim: Person, repeated: dict[str, str]
    ) -> None:
        asked = erika.begin()
        response = json.dumps({"vp_token": {"pid": [erika.present(asked, victim.pid)]}, "foo": "bar"})
        assert_code(erika.follow_up(asked, {"openid4vp_response": response, **repeated}))


class TestParametersOfTheStart:
    @pytest.mark.rule("B-09", "VPT-07")
    @pytest.mark.parametrize(
        "changes",
        [
            {"scope": "student-card"},
            {"scope": "diploma"},
            {"authorization_details": DETAILS},
            {"code_challenge": "x" * 43},
            {"code_challenge_method": "S256"},
            {"code_challenge_method": "plain"},
            {"interaction_types_supported": "redirect_to_web"},
            {"issuer_state": "x"},
            {"request": "e30.e30."},
            {"request_uri": PREFIX + "x"},
            {"redirect_uri": "https://wallet.example/cb"},
            {"redirect_uri": "https://evil.example/cb"},
            {"response_type": "token"},
            {"state": "another"},
        ],
        ids=lambda changes: "-".join(changes),
    )
    def test_a_follow_up_cannot_change_what_was_asked_for(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person, changes: dict[str, str]
    ) -> None:
        asked = speaker.begin()
        valid = {"openid4vp_response": json.dumps({"vp_token": {"pid": [speaker.present(asked, victim.pid)]}})}
        # Not counted either: ten times are not too many, and what was shown is not spent.
        with no_code(campus_server):
            for _ in range(10):
                assert_oauth_refused(speaker.follow_up(asked, {**valid, **changes}), 400, "invalid_request")
        code = assert_code(speaker.follow_up(asked, valid))
        answer = speaker.exchange(code)
        assert answer.status_code == 200
        assert "authorization_details" not in answer.json()
        assert answer.json().get("scope", speaker.scope) == speaker.scope


class TestWhoSends:
    @pytest.mark.rule("B-03", "IA-06", "IA-15")
    def test_another_client(self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person) -> None:
        asked = speaker.begin()
        shown = json.dumps({"vp_token": {"pid": [speaker.present(asked, victim.pid)]}})
        with no_code(campus_server):
            for _ in range(6):
                stolen = speaker.follow_up(asked, {"openid4vp_response": shown, "client_id": "other-wallet"})
                assert_session_error(speaker, stolen)
        assert_code(speaker.send(asked, shown))

    @pytest.mark.rule("IA-05", "B-03")
    @pytest.mark.parametrize(
        "changes",
        [
            {"client_id": "nobody"},
            {"client_id": "retired-wallet"},
            {"client_secret": "s"},
            {"client_id": "demo-wallet", "client_secret": "s"},
            {"client_id": "demo-wallet", "client_assertion": "e30.e30."},
        ],
    )
    def test_a_client_that_fails_to_authenticate(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person, changes: dict[str, str]
    ) -> None:
        assert_kept_by(
            campus_server,
            speaker,
            victim,
            lambda asked: speaker.follow_up(asked, {"openid4vp_response": '{"error":"access_denied"}', **changes}),
            (401, "invalid_client") if "client_id" in changes else (400, "invalid_request"),
        )

    @pytest.mark.rule("B-03", "IA-46", "D-08")
    @pytest.mark.parametrize("by_parameter", [False, True])
    def test_another_dpop_key_or_none(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person, by_parameter: bool
    ) -> None:
        speaker.begin()
        bound = {"dpop_jkt": speaker.key.thumbprint} if by_parameter else {}
        asked = speaker.begin(bound, dpop=not by_parameter)
        shown = {"vp_token": {"pid": [speaker.present(asked, victim.pid)]}}
        with no_code(campus_server):
            for dpop in (False, {"key": Key()}):
                for _ in range(6):
                    assert_oauth_refused(speaker.send(asked, shown, dpop=dpop), 400, "invalid_dpop_proof")
            spent = speaker.dpop("POST", speaker.endpoint, nonce=speaker.nonces["as"], claims={"htm": "GET"})
            assert_oauth_refused(speaker.send(asked, shown, dpop=spent), 400, "invalid_dpop_proof")
        assert_code(speaker.send(asked, shown))

    @pytest.mark.rule("IA-13", "G-09")
    def test_a_missing_nonce_costs_nothing(self, speaker: InteractiveWallet, victim: Person) -> None:
        asked = speaker.begin()
        shown = {"vp_token": {"pid": [speaker.present(asked, victim.pid)]}}
        for _ in range(6):
            stale = speaker.dpop("POST", speaker.endpoint)
            assert_oauth_refused(speaker.send(asked, shown, dpop=stale), 400, "use_dpop_nonce")
        assert_code(speaker.send(asked, shown))

    @pytest.mark.rule("IA-46")
    def test_the_code_is_bound_to_the_key_of_the_start(self, speaker: InteractiveWallet, victim: Person) -> None:
        code = assert_code(speaker.show(speaker.begin(), victim.pid))
        assert_oauth_refused(speaker.exchange(code, dpop={"key": Key()}), 400, "invalid_grant")
        assert_kept(speaker, code)

    @pytest.mark.rule("A-17")
    def test_a_code_and_verifier_in_other_hands(self, campus_server: RunningServer, victim: Person) -> None:
        with (
            interactive_wallet(campus_server, holder=victim.holder) as wallet,
            interactive_wallet(campus_server, client_id="other-wallet", verifier=wallet.verifier) as thief,
        ):
            code = assert_code(wallet.show(wallet.begin(), victim.pid))
            assert_oauth_refused(thief.exchange(code), 400, "invalid_grant")
            assert_oauth_refused(thief.exchange(code, {"client_id": wallet.client_id}), 400, "invalid_grant")
            assert_kept(wallet, code)


class TestTheEnd:
    @pytest.mark.rule("IA-30", "A-19", "VPT-06")
    @pytest.mark.parametrize("error", ["access_denied", "invalid_request", "wallet_unavailable", "anything"])
    def test_a_wallet_that_does_not_present_ends_the_session(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person, error: str
    ) -> None:
        asked = speaker.begin()
        with no_code(campus_server):
            assert_denied(speaker.send(asked, {"error": error, "error_description": "<script>"}))
            assert_session_error(speaker, speaker.follow_up(asked))
            assert_dead(speaker, asked, victim.pid)

    @pytest.mark.rule("B-01", "IA-44", "IA-19")
    def test_after_the_code_no_other_comes(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
    ) -> None:
        asked = speaker.begin()
        shown = speaker.present(asked, victim.pid)
        code = assert_code(speaker.respond(asked, shown))
        with no_code(campus_server):
            assert_session_error(speaker, speaker.follow_up(asked))
            assert_session_error(speaker, speaker.respond(asked, {"pid": [shown]}, dpop=False))
            assert_dead(speaker, asked, victim.pid)
            assert_session_error(speaker, speaker.follow_up(asked, {"code_verifier": speaker.verifier}))
        assert_kept(speaker, code)

    @pytest.mark.rule("IA-47", "B-19")
    def test_every_end_is_answered_alike(self, own_campus: RunningServer) -> None:
        with interactive_wallet(own_campus) as wallet:
            expired, denied = wallet.begin(), wallet.begin()
            assert_denied(wallet.send(denied, {"error": "access_denied"}))
            assert_session_error(wallet, wallet.follow_up(denied))
            own_campus.clock.advance(899)
            assert_oauth_refused(wallet.send(expired, "x"), 400, "invalid_request")
            assert wallet.send(expired, "x").json() != wallet.follow_up("unknown").json()
            own_campus.clock.advance(1)
            # Polling did not keep it alive.
            assert_session_error(wallet, wallet.follow_up(expired))

    @pytest.mark.rule("B-25")
    def test_a_late_answer(self, own_campus: RunningServer, own_victim: Person) -> None:
        with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
            asked = wallet.begin()
            own_campus.clock.advance(900)
            assert_dead(wallet, asked, own_victim.pid)
            in_time = wallet.begin()
            own_campus.clock.advance(890)
            assert_live(wallet, in_time, own_victim.pid)

    @pytest.mark.rule("B-12")
    def test_a_session_of_another_dialect(self, campus_server: RunningServer, erika: InteractiveWallet) -> None:
        pushed = erika.push({"scope": "visitor-card"}).json()["request_uri"]
        for handle in (pushed, pushed.removeprefix(PREFIX)):
            assert_session_error(erika, erika.follow_up(handle))
            assert_session_error(erika, erika.follow_up(handle, {"code_verifier": erika.verifier}))
        for path in ("/authorize-challenge", "/challenge", "/iae"):
            assert erika.post(path, family="as", data=erika.initial_form()).status_code == 404
        # The list of a session begun with URNs stays: later answers are in URNs too.
        erika.urn = True
        erika.scope = "alumni-card"
        asked = erika.begin()
        erika.urn = False
        refused = erika.follow_up(asked, {"interaction_types_supported": "redirect_to_web,openid4vp_presentation"})
        assert_oauth_refused(refused, 400, "invalid_request")

    @pytest.mark.rule("B-04")
    def test_nobody_chooses_a_handle(self, campus_server: RunningServer, speaker: InteractiveWallet) -> None:
        speaker.begin()
        before = count_rows(campus_server, "sessions")
        assert_session_error(speaker, speaker.follow_up("chosen-by-the-attacker"))
        assert_oauth_refused(speaker.begin({"auth_session": "chosen"}), 400, "invalid_request")
        assert_session_error(speaker, speaker.follow_up("chosen"))
        assert count_rows(campus_server, "sessions") == before
        assert_asks_for_presentation(speaker, speaker.begin())
