"""Initial requests at the interactive endpoint: what is asked for in answer, and that a refused one leaves nothing."""

import json
import secrets
from typing import Any

import pytest

from tests.http.interactive import assert_asks_for_browser, assert_asks_for_presentation
from tests.http.refusals import assert_oauth_refused
from tests.http.state import count_rows, nothing_stored
from tests.support.interactive_wallet import URN_PREFIX, InteractiveWallet
from tests.support.raw_wallet import ABSENT
from tests.support.server import RunningServer

PREFIX = "urn:ietf:params:oauth:request_uri:"
CARD_DETAILS = json.dumps([{"type": "openid_credential", "credential_configuration_id": "student-card"}])
BARE, URN = "openid4vp_presentation,redirect_to_web", URN_PREFIX + "openid4vp_presentation"


@pytest.mark.rule("D1-01", "D1-02", "D1-04")
def test_bare_tokens_are_answered_by_bare_tokens(erika: InteractiveWallet) -> None:
    assert erika.presentation_type == "openid4vp_presentation"
    assert_asks_for_presentation(erika, erika.begin())
    erika.scope = "visitor-card"
    assert erika.web_type == "redirect_to_web"
    assert assert_asks_for_browser(erika, erika.begin()).startswith(PREFIX)


@pytest.mark.rule("D2-01", "D2-03", "D2-04")
def test_urns_are_answered_by_urns(erika: InteractiveWallet) -> None:
    erika.urn = True
    assert erika.presentation_type == "urn:openid:dcp:iae:openid4vp_presentation"
    assert_asks_for_presentation(erika, erika.begin())
    erika.scope = "visitor-card"
    assert erika.web_type == "urn:openid:dcp:iae:redirect_to_web"
    assert assert_asks_for_browser(erika, erika.begin()).startswith(PREFIX)


@pytest.mark.rule("IA-09", "IA-10", "IA-31")
def test_every_answer_holds_the_type_a_handle_and_the_types_own_members(speaker: InteractiveWallet) -> None:
    assert_asks_for_presentation(speaker, speaker.begin())
    speaker.scope = "visitor-card"
    assert_asks_for_browser(speaker, speaker.begin())


@pytest.mark.rule("IA-20", "IA-21", "IA-23")
def test_the_request_is_unsigned_and_holds_nothing_of_other_transports(speaker: InteractiveWallet) -> None:
    request = assert_asks_for_presentation(speaker, speaker.begin())
    assert request.keys() == {"response_type", "response_mode", "nonce", "dcql_query", "client_metadata"}
    assert request["response_type"] == "vp_token"
    assert request["client_metadata"].keys() == {"vp_formats_supported"}
    assert request["dcql_query"] == {
        "credentials": [
            {
                "id": "pid",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": ["urn:eudi:pid:1"]},
                "claims": [{"path": ["given_name"]}, {"path": ["family_name"]}],
            }
        ]
    }


@pytest.mark.rule("D1-05", "REQ-12")
def test_the_response_mode_is_that_of_the_endpoint(speaker: InteractiveWallet) -> None:
    assert assert_asks_for_presentation(speaker, speaker.begin())["response_mode"] == "iae_post"


@pytest.mark.rule("B-17", "B-16", "IA-18")
def test_handles_and_nonces_cannot_be_guessed(erika: InteractiveWallet) -> None:
    answers = [erika.begin(dpop=False).json() for _ in range(150)]
    for values in (
        [answer["auth_session"] for answer in answers],
        [answer["openid4vp_request"]["nonce"] for answer in answers],
    ):
        assert {len(value) for value in values} == {43}, "256 bits in base64url"
        assert len(set(values)) == len(values)
        # A counter, a time or a tenant in it would show as a place that hardly varies (the last carries four bits).
        assert min(len({value[place] for value in values}) for place in range(42)) >= 40


class TestInteractionTypes:
    @pytest.mark.rule("IA-01", "B-14")
    @pytest.mark.parametrize("listed", [ABSENT, "", " ", ",", " , ,"])
    def test_a_list_that_names_nothing(
        self, campus_server: RunningServer, erika: InteractiveWallet, listed: object
    ) -> None:
        erika.begin()
        with nothing_stored(campus_server):
            refused = erika.begin({"interaction_types_supported": listed})
        assert_oauth_refused(refused, 400, "invalid_request")

    @pytest.mark.rule("IA-01", "IA-04")
    @pytest.mark.parametrize(
        "listed",
        [
            "redirect_to_web,openid4vp_presentation",
            " openid4vp_presentation , redirect_to_web ",
            "openid4vp_presentation,openid4vp_presentation",
            "urn:example:x,openid4vp_presentation,,foo bar",
            "openid4vp_presentation",
        ],
    )
    def test_order_spaces_and_strangers_make_no_difference(self, erika: InteractiveWallet, listed: str) -> None:
        assert_asks_for_presentation(erika, erika.begin({"interaction_types_supported": listed}))

    @pytest.mark.rule("IA-02", "B-14", "REQ-16")
    @pytest.mark.parametrize(
        "listed",
        [
            "redirect_to_web",
            "redirect_to_web,redirect_to_web",
            "urn:example:x",
            "OPENID4VP_PRESENTATION",
            "openid4vp_presentation.jwt",
            "urn:openid:dcp:ia:openid4vp_presentation",
            "urn:openid:dcp:ia:openid4vp_presentation,urn:openid:dcp:ia:auth_via_web",
        ],
    )
    def test_a_wallet_that_cannot_present_gets_no_weaker_step(
        self, campus_server: RunningServer, erika: InteractiveWallet, listed: str
    ) -> None:
        erika.begin()
        with nothing_stored(campus_server):
            refused = erika.begin({"interaction_types_supported": listed})
        assert_oauth_refused(refused, 400, "missing_interaction_type")
        assert "openid4vp_presentation" in refused.json()["error_description"]

    @pytest.mark.rule("IA-03", "D1-06")
    def test_a_later_step_counts_from_the_start(self, campus_server: RunningServer, speaker: InteractiveWallet) -> None:
        speaker.begin()
        for scope in ("diploma", "alumni-card", "library-card"):
            for listed, lacking in (
                (speaker.presentation_type, speaker.web_type),
                (speaker.web_type, speaker.presentation_type),
            ):
                with nothing_stored(campus_server):
                    refused = speaker.begin({"scope": scope, "interaction_types_supported": listed})
                assert_oauth_refused(refused, 400, "missing_interaction_type")
                assert lacking in refused.json()["error_description"]

    @pytest.mark.rule("D2-03")
    def test_what_is_missing_is_named_as_a_urn(self, erika: InteractiveWallet) -> None:
        refused = erika.begin({"interaction_types_supported": URN_PREFIX + "redirect_to_web"})
        assert_oauth_refused(refused, 400, "missing_interaction_type")
        assert URN in refused.json()["error_description"]

    @pytest.mark.rule("D1-08", "D2-02")
    def test_one_urn_makes_the_session_speak_urns(self, campus_server: RunningServer, erika: InteractiveWallet) -> None:
        mixed = erika.begin({"interaction_types_supported": f"{BARE},{URN},foo"})
        assert mixed.json()["type"] == URN
        # Bare tokens beside a URN count for nothing.
        with nothing_stored(campus_server):
            refused = erika.begin({"interaction_types_supported": f"{BARE},{URN}", "scope": "diploma"})
        assert_oauth_refused(refused, 400, "missing_interaction_type")
        assert URN_PREFIX + "redirect_to_web" in refused.json()["error_description"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        pytest.param({"client_id": ABSENT}, 400, "invalid_request", marks=pytest.mark.rule("IA-05")),
        pytest.param({"client_id": "nobody"}, 401, "invalid_client", marks=pytest.mark.rule("IA-05", "D1-06")),
        pytest.param({"client_id": "retired-wallet"}, 401, "invalid_client", marks=pytest.mark.rule("IA-05")),
        pytest.param({"client_assertion": "e30.e30."}, 401, "invalid_client", marks=pytest.mark.rule("IA-05")),
        pytest.param({"request_uri": PREFIX + "x"}, 400, "invalid_request", marks=pytest.mark.rule("B-23", "IA-07")),
        pytest.param({"request": "e30.e30."}, 400, "invalid_request", marks=pytest.mark.rule("B-23")),
        pytest.param(
            {"redirect_uri": "https://evil.example/cb"}, 400, "invalid_request", marks=pytest.mark.rule("IA-07", "C-01")
        ),
        pytest.param({"response_type": ABSENT}, 400, "invalid_request", marks=pytest.mark.rule("IA-07")),
        pytest.param({"response_type": "token"}, 400, "unsupported_response_type", marks=pytest.mark.rule("IA-07")),
        pytest.param(
            {"code_challenge": ABSENT, "code_challenge_method": ABSENT},
            400,
            "invalid_request",
            marks=pytest.mark.rule("IA-35", "B-18"),
        ),
        pytest.param({"code_challenge": ABSENT}, 400, "invalid_request", marks=pytest.mark.rule("B-18")),
        pytest.param({"code_challenge_method": ABSENT}, 400, "invalid_request", marks=pytest.mark.rule("B-18")),
        pytest.param({"code_challenge_method": "plain"}, 400, "invalid_request", marks=pytest.mark.rule("B-18")),
        pytest.param({"code_challenge": "x" * 42}, 400, "invalid_request", marks=pytest.mark.rule("B-18")),
        pytest.param({"scope": "unknown"}, 400, "invalid_scope", marks=pytest.mark.rule("IA-07")),
        pytest.param({"scope": ABSENT}, 400, "invalid_scope", marks=pytest.mark.rule("IA-07")),
        pytest.param({"scope": "student-card diploma"}, 400, "invalid_scope", marks=pytest.mark.rule("B-10")),
        pytest.param(
            {"scope": "visitor-card", "authorization_details": CARD_DETAILS},
            400,
            "invalid_authorization_details",
            marks=pytest.mark.rule("B-10"),
        ),
        pytest.param({"resource": "https://evil.example"}, 400, "invalid_target", marks=pytest.mark.rule("IA-07")),
        pytest.param({"issuer_state": "guessed"}, 400, "invalid_request", marks=pytest.mark.rule("IA-50")),
        pytest.param({"dpop_jkt": "not a thumbprint"}, 400, "invalid_request", marks=pytest.mark.rule("IA-07")),
        # Its own spelling of a session: there is none of this name, whatever else is sent (B-04).
        pytest.param({"auth_session": "chosen"}, 400, "invalid_request", marks=pytest.mark.rule("B-04")),
        pytest.param(
            {"auth_session": secrets.token_urlsafe(32)}, 400, "invalid_request", marks=pytest.mark.rule("B-04")
        ),
    ],
)
def test_what_breaks_a_rule_is_refused(
    campus_server: RunningServer, erika: InteractiveWallet, changes: dict[str, Any], status: int, code: str
) -> None:
    erika.begin()
    with nothing_stored(campus_server):
        refused = erika.begin(changes)
    assert_oauth_refused(refused, status, code)
    assert_asks_for_presentation(erika, erika.begin())


@pytest.mark.rule("B-10")
def test_by_scope_and_by_details_the_same_is_asked_for(erika: InteractiveWallet) -> None:
    by_scope = assert_asks_for_presentation(erika, erika.begin())
    both = {"authorization_details": CARD_DETAILS}
    for changes in ({"scope": ABSENT, **both}, both):
        by_details = assert_asks_for_presentation(erika, erika.begin(changes))
        assert by_details["dcql_query"] == by_scope["dcql_query"]


@pytest.mark.rule("B-10", "ASM-22")
def test_a_push_is_no_way_around_a_presentation(campus_server: RunningServer, erika: InteractiveWallet) -> None:
    erika.push({"scope": "visitor-card"})
    for scope in ("student-card", "diploma", "alumni-card", "library-card"):
        with nothing_stored(campus_server):
            refused = erika.push({"scope": scope})
        assert_oauth_refused(refused, 400, "invalid_request")
    assert erika.push({"scope": "visitor-card"}).status_code == 201


@pytest.mark.rule("IA-34")
@pytest.mark.parametrize("redirect_uri", [ABSENT, "wallet://cb", "http://wallet.example/cb"])
def test_a_browser_has_to_be_sent_back_somewhere_safe(
    campus_server: RunningServer, erika: InteractiveWallet, redirect_uri: object
) -> None:
    erika.begin()
    for scope in ("diploma", "visitor-card", "library-card"):
        with nothing_stored(campus_server):
            refused = erika.begin({"scope": scope, "redirect_uri": redirect_uri})
        assert_oauth_refused(refused, 400, "invalid_request")
    assert_asks_for_browser(erika, erika.begin({"scope": "visitor-card", "redirect_uri": "https://wallet.example/cb"}))


@pytest.mark.rule("B-22", "O-04")
def test_nothing_is_taken_from_a_url(campus_server: RunningServer, erika: InteractiveWallet) -> None:
    form = {**erika.initial_form(), "auth_session": "x"}
    before = count_rows(campus_server, "sessions")
    assert erika.http.get(erika.endpoint, params=form).status_code == 405
    answer = erika.http.post(erika.endpoint, params=form, data={"client_id": erika.client_id})
    assert_oauth_refused(answer, 400, "invalid_request")
    assert count_rows(campus_server, "sessions") == before
