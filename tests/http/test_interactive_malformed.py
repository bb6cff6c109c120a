"""Malformed answers to a presentation request that lives: the endpoint's own error, never a 5xx, and bounded work."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.interactive import assert_code, assert_live, no_code
from tests.http.refusals import assert_oauth_refused
from tests.http.test_malformed import VOCABULARY, fuzzed, json_bodies, json_values
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet, only_disclosing
from tests.support.raw_wallet import error_of
from tests.support.server import RunningServer

nearly = st.dictionaries(
    st.sampled_from(["vp_token", "response", "error", "error_description", "state"]) | st.text(max_size=5),
    json_values | st.dictionaries(st.sampled_from(["pid", "x", ""]), json_values | st.lists(json_values, max_size=3)),
    max_size=3,
).map(lambda value: json.dumps(value).encode())
"""What nearly is a response."""


@pytest.mark.rule("O-03", "O-13", "J-06")
def test_any_response(campus_server: RunningServer, erika: InteractiveWallet) -> None:
    @fuzzed
    @given(json_bodies | nearly)
    def run(response: bytes) -> None:
        asked = erika.begin(dpop=False)
        answer = erika.follow_up(asked, {"openid4vp_response": response}, dpop=False)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"] in VOCABULARY["oauth"]
        assert answer.json().keys() == {"error", "error_description"}

    with no_code(campus_server):
        run()


@pytest.mark.rule("A-11", "O-03")
def test_any_presentation(campus_server: RunningServer, erika: InteractiveWallet, victim: Person) -> None:
    asked = erika.begin(dpop=False)
    parts = erika.present(asked, victim.pid).split("~")
    pieces = st.sampled_from([*parts, "", "a.b.c", "e30.e30.e30", "~", "=", " "]) | st.text(max_size=20)

    @fuzzed
    @given(st.lists(pieces, max_size=8).map("~".join))
    def run(presentation: str) -> None:
        answer = erika.respond(erika.begin(dpop=False), {"pid": [presentation]}, dpop=False)
        # Every presentation is parsable as far as the envelope goes; text that UTF-8 cannot say is not.
        assert error_of(answer) in ((400, "access_denied"), (400, "invalid_request")), presentation

    with no_code(campus_server):
        run()


@pytest.mark.rule("J-06", "VPT-09")
@pytest.mark.parametrize(
    "response",
    [
        pytest.param('{"vp_token":' + "[" * 100_000 + "]" * 100_000 + "}", id="deep"),
        pytest.param('{"vp_token":{"pid":["x"]},"x":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}", id="deep beside"),
        pytest.param(json.dumps({"vp_token": {str(n): ["x"] for n in range(30_000)}}), id="many members"),
        pytest.param(json.dumps({"vp_token": {"pid": ["x"] * 40_000}}), id="many presentations"),
        pytest.param('{"vp_token":{"pid":["x"]},"n":' + "9" * 100_000 + "}", id="long number"),
        pytest.param('{"vp_token":{"pid":["x"],"pid":["y"]}}', id="twice"),
        pytest.param('{"vp_token":{"pid":["\\ud800"]}}', id="lone surrogate"),
        pytest.param(json.dumps(json.dumps({"vp_token": {"pid": ["x"]}})), id="JSON in a text"),
        pytest.param('\ufeff{"vp_token":{"pid":["x"]}}', id="byte order mark"),
        pytest.param(json.dumps({"vp_token": {"pid": ["x" * 300_000]}}), id="one that is too long"),
    ],
)
def test_bombs_cost_little_and_change_nothing(
    campus_server: RunningServer, erika: InteractiveWallet, victim: Person, response: str
) -> None:
    asked = erika.begin()
    began = time.process_time()
    with no_code(campus_server):
        assert_oauth_refused(erika.send(asked, response), 400, "invalid_request")
    assert time.process_time() - began < 1
    assert_live(erika, asked, victim.pid)


@pytest.mark.rule("VPT-09", "D1-06")
def test_a_body_beyond_the_limit(campus_server: RunningServer, erika: InteractiveWallet, victim: Person) -> None:
    asked = erika.begin()
    answer = erika.send(asked, " " * 1_100_000)
    assert answer.status_code == 413
    assert answer.json().keys() == {"error", "error_description"}
    padded = json.dumps({"vp_token": {"pid": [erika.present(asked, victim.pid)]}}) + " " * 200_000
    assert_code(erika.send(asked, padded))


@pytest.mark.rule("AG-11")
@pytest.mark.parametrize("count", [300, 5000])
def test_many_disclosures_cost_little(erika: InteractiveWallet, victim: Person, count: int) -> None:
    asked = erika.begin()
    sd_jwt = only_disclosing(victim.pid, "given_name", "family_name")
    last = sd_jwt.split("~")[-2]
    many = sd_jwt + f"{last}~" * count
    shown = many + erika.key_binding(many, asked.json()["openid4vp_request"])
    began = time.process_time()
    answer = erika.respond(asked, shown)
    assert time.process_time() - began < 1
    assert answer.status_code == 400
