"""Answers that cannot be read, or that answer another step: they change nothing, but are counted."""

import json
from typing import Any

import pytest

from tests.http.interactive import assert_code, assert_dead, assert_kept_by, assert_live, no_code
from tests.http.refusals import assert_oauth_refused
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.raw_wallet import ABSENT
from tests.support.server import RunningServer


@pytest.mark.rule("IA-25", "VPT-01", "VPT-03")
@pytest.mark.parametrize(
    "response",
    [
        "", "x", "[]", '"vp_token"', "null", "{}", '{"vp_token":[]}', '{"vp_token":"x"}', '{"vp_token":null}',
        '{"vp_token":{"pid":"x"}}', '{"vp_token":{"pid":[1]}}', '{"vp_token":{"pid":[{}]}}',
        '{"vp_token":{"other":["x"]}}', '{"vp_token":{"pid":["x"],"pid":["y"]}}', '{"vp_token":{"pid":["x"]}',
        '{"vp_token":{"pid":["x"]},"error":"access_denied"}', '{"vp_token":{"pid":["x"]},"response":"x"}',
        '{"response":"x"}', '{"error":1}', '{"error":"a","error":"b"}', '{"presentation_submission":{}}', ABSENT,
    ],
)  # fmt: skip
def test_what_cannot_be_read(
    campus_server: RunningServer, erika: InteractiveWallet, victim: Person, response: Any
) -> None:
    assert_kept_by(
        campus_server,
        erika,
        victim,
        lambda asked: erika.follow_up(asked, {"openid4vp_response": response}),
        (400, "invalid_request"),
    )


@pytest.mark.rule("B-13", "REQ-07")
def test_an_encrypted_response_nobody_asked_for(
    campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
) -> None:
    jwe = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA"
    assert_kept_by(
        campus_server,
        speaker,
        victim,
        lambda asked: speaker.send(asked, {"response": jwe}),
        (400, "invalid_request"),
    )


@pytest.mark.rule("VPT-16", "B-22")
def test_a_presentation_in_the_url(campus_server: RunningServer, speaker: InteractiveWallet, victim: Person) -> None:
    asked = speaker.begin()
    shown = json.dumps({"vp_token": {"pid": [speaker.present(asked, victim.pid)]}})
    handle = asked.json()["auth_session"]
    proof = {"DPoP": speaker.dpop("POST", speaker.endpoint, nonce=speaker.nonces["as"])}
    query = {"openid4vp_response": shown}
    with no_code(campus_server):
        sent = speaker.http.post(speaker.endpoint, params=query, data={"auth_session": handle}, headers=proof)
        assert_oauth_refused(sent, 400, "invalid_request")
        assert speaker.http.get(speaker.endpoint, params=query).status_code == 405
    assert_code(speaker.send(asked, shown))


@pytest.mark.rule("B-05", "IA-16", "IA-42")
def test_the_payload_of_another_step(campus_server: RunningServer, speaker: InteractiveWallet, victim: Person) -> None:
    speaker.scope = "diploma"
    asked = speaker.begin()
    verifier = {"code_verifier": speaker.verifier}
    shown = json.dumps({"vp_token": {"pid": [speaker.present(asked, victim.pid)]}})
    with no_code(campus_server):
        # While a presentation is asked for
        for wrong in (verifier, {"openid4vp_response": shown, **verifier}):
            assert_oauth_refused(speaker.follow_up(asked, wrong), 400, "invalid_request")
        on_the_web = assert_live(speaker, asked, victim.pid)
        # While a browser is
        for wrong in (verifier, {}, {"openid4vp_response": shown}, {"openid4vp_response": shown, **verifier}):
            assert_oauth_refused(speaker.follow_up(on_the_web, wrong), 400, "invalid_request")
    assert "code" in speaker.agree(on_the_web)


@pytest.mark.rule("IA-13", "B-21")
@pytest.mark.parametrize(
    "wrong", [{"openid4vp_response": "x"}, {"openid4vp_response": "{}"}, {"code_verifier": "v" * 43}, {}]
)
def test_the_fifth_is_the_last(speaker: InteractiveWallet, victim: Person, wrong: dict[str, str]) -> None:
    asked = speaker.begin()
    for _ in range(4):
        assert_oauth_refused(speaker.follow_up(asked, wrong), 400, "invalid_request")
    assert_live(speaker, asked, victim.pid)
    asked = speaker.begin()
    for _ in range(5):
        assert_oauth_refused(speaker.follow_up(asked, wrong), 400, "invalid_request")
    assert_dead(speaker, asked, victim.pid)


@pytest.mark.rule("IA-42")
def test_a_wallet_that_cannot_wait_for_the_browser_loses_nothing(speaker: InteractiveWallet, victim: Person) -> None:
    speaker.scope = "visitor-card"
    asked = speaker.begin()
    for _ in range(7):
        for early in ({}, {"code_verifier": speaker.verifier}):
            assert_oauth_refused(speaker.follow_up(asked, early), 400, "invalid_request")
    assert "code" in speaker.agree(asked, sign_in_as="erika")
