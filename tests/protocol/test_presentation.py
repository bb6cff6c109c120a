"""The presentation request as it is sent, and reading what comes back."""

import json
import re
from typing import Any

import msgspec
import pytest

from app.adapters.system import SystemEntropy
from app.document.dcql import DcqlQuery
from app.protocol.jose import ALGORITHMS
from app.protocol.presentation import VpToken, WalletError, read_response, request_object
from app.protocol.strict_json import Malformed

PID = {
    "id": "pid",
    "format": "dc+sd-jwt",
    "meta": {"vct_values": ["urn:eudi:pid:1"]},
    "claims": [{"path": ["given_name"]}, {"path": ["nationalities", None], "values": ["DE"]}],
}
SENT: dict[str, Any] = {
    "credentials": [PID, {**PID, "id": "many", "multiple": True}],
    "credential_sets": [{"options": [["pid"], ["many"]]}, {"options": [["many"]], "required": False}],
}
QUERY = msgspec.convert(SENT, DcqlQuery)


@pytest.mark.rule("REQ-05", "REQ-11", "REQ-13")
def test_a_request_has_these_members_and_no_others() -> None:
    assert request_object(QUERY, nonce="n", response_mode="iae_post").keys() == {
        "response_type",
        "response_mode",
        "nonce",
        "dcql_query",
        "client_metadata",
    }


@pytest.mark.rule("REQ-06")
@pytest.mark.parametrize("mode", ["iae_post", "ia_post"])
def test_a_request_asks_for_a_vp_token(mode: str) -> None:
    request = request_object(QUERY, nonce="n", response_mode=mode)
    assert (request["response_type"], request["response_mode"], request["nonce"]) == ("vp_token", mode, "n")


def test_the_query_is_sent_as_it_was_written() -> None:
    assert request_object(QUERY, nonce="n", response_mode="iae_post")["dcql_query"] == SENT


@pytest.mark.rule("REQ-08", "REQ-09")
def test_the_metadata_says_what_is_accepted_of_each_format_that_is_asked_for() -> None:
    metadata = request_object(QUERY, nonce="n", response_mode="iae_post")["client_metadata"]
    assert metadata.keys() == {"vp_formats_supported"}
    assert metadata["vp_formats_supported"].keys() == {"dc+sd-jwt"}
    accepted = metadata["vp_formats_supported"]["dc+sd-jwt"]
    assert accepted.keys() == {"sd-jwt_alg_values", "kb-jwt_alg_values"}
    for algorithms in accepted.values():
        # HAIP §7: ES256 in any case.
        assert {"ES256"} <= set(algorithms) <= ALGORITHMS.keys()


@pytest.mark.rule("REQ-02", "REQ-03")
def test_a_nonce_of_this_service_has_the_characters_of_a_nonce() -> None:
    for _ in range(200):
        request = request_object(QUERY, nonce=SystemEntropy().token(), response_mode="iae_post")
        assert re.fullmatch(r"[A-Za-z0-9._~-]{22,43}", request["nonce"])


def read(**members: Any) -> VpToken | WalletError:
    return read_response(json.dumps(members), query=QUERY)


@pytest.mark.parametrize(
    "presentations", [{"pid": ["a~b~"]}, {"pid": ["x"], "many": ["y", "z"]}, {"pid": []}, {"pid": ["x", "y"]}, {}]
)
def test_a_vp_token_is_read(presentations: dict[str, list[str]]) -> None:
    assert read(vp_token=presentations) == VpToken(presentations)


@pytest.mark.rule("DE-21", "J-09")
@pytest.mark.parametrize(
    "member", [{"foo": "bar"}, {"state": 1}, {"presentation_submission": {"descriptor_map": [{"id": "many"}]}}]
)
def test_unknown_members_of_a_response_are_ignored(member: dict[str, Any]) -> None:
    assert read(vp_token={"pid": ["x"]}, **member) == VpToken({"pid": ["x"]})
    assert read(error="access_denied", **member) == WalletError("access_denied")


@pytest.mark.rule("VPT-03", "J-09")
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"foo": 1}',
        '{"vp_token": {"pid": ["x"]}, "error": "access_denied"}',
        '{"vp_token": {"pid": ["x"]}, "response": "x"}',
        '{"error": "access_denied", "response": "x"}',
        '{"vp_token": {"pid": ["x"]}, "error": null}',
    ],
)
def test_a_response_is_exactly_one_of_three(text: str) -> None:
    with pytest.raises(Malformed):
        read_response(text, query=QUERY)


@pytest.mark.rule("B-13", "VPT-16")
def test_an_encrypted_response_was_not_asked_for() -> None:
    with pytest.raises(Malformed):
        read(response="a.b.c.d.e")


@pytest.mark.rule("VPT-03", "J-06")
@pytest.mark.parametrize("text", ["", "x", "null", "[]", '"{}"', '[{"vp_token": {"pid": ["x"]}}]', "{" * 100_000])
def test_what_is_no_object_is_not_read(text: str) -> None:
    with pytest.raises(Malformed):
        read_response(text, query=QUERY)


@pytest.mark.rule("VPT-01", "J-06")
@pytest.mark.parametrize("vp_token", ["x", '{"pid": ["x"]}', ["x"], [{"pid": ["x"]}], 1, None, True])
def test_a_vp_token_is_an_object(vp_token: Any) -> None:
    with pytest.raises(Malformed):
        read(vp_token=vp_token)


@pytest.mark.rule("J-06")
def test_a_vp_token_of_very_many_members_is_refused() -> None:
    with pytest.raises(Malformed):
        read(vp_token={str(number): ["x"] for number in range(100_000)})


@pytest.mark.rule("J-06", "J-05")
@pytest.mark.parametrize("padding", [[[]] * 300, [{}] * 300, "[" * 300])
def test_an_answer_of_very_many_parts_is_refused_unread(padding: Any) -> None:
    """They would be ignored, at the price of reading them."""
    with pytest.raises(Malformed, match="too many"):
        read(vp_token={"pid": ["x"]}, padding=padding)


@pytest.mark.rule("DE-03", "J-02")
@pytest.mark.parametrize("query_id", ["other", "PID", "", "pid "])
def test_a_vp_token_answers_what_was_asked(query_id: str) -> None:
    with pytest.raises(Malformed):
        read(vp_token={"pid": ["x"], query_id: ["x"]})


@pytest.mark.rule("VPT-12", "VPT-13", "J-06")
@pytest.mark.parametrize(
    "value",
    ["x", {"0": "x"}, None, 1, [1], [None], ["x", 1], [["x"]], [{"payload": "x", "signatures": []}], [{"pid": ["x"]}]],
)
def test_presentations_are_arrays_of_strings(value: Any) -> None:
    with pytest.raises(Malformed):
        read(vp_token={"many": value})


@pytest.mark.rule("VPT-08", "J-06")
@pytest.mark.parametrize(
    "text",
    [
        '{"vp_token": {"pid": ["x"], "pid": ["y"]}}',
        '{"vp_token": {"pid": ["x"]}, "vp_token": {"pid": ["y"]}}',
        '{"vp_token": {"pid": ["x"]}, "foo": {"a": 1, "a": 2}}',
        '{"vp_token": {"pid": ["x"], "p\\u0069d": ["y"]}}',
    ],
)
def test_a_repeated_member_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read_response(text, query=QUERY)


@pytest.mark.rule("VPT-09")
@pytest.mark.parametrize(
    ("presentations", "fits"),
    [
        ({"many": ["x"] * 16}, True),
        ({"many": ["x"] * 17}, False),
        ({"many": ["x"] * 15, "pid": ["x", "y"]}, False),
        ({"pid": ["x" * 262_144]}, True),
        ({"pid": ["x" * 262_145]}, False),
    ],
)
def test_a_vp_token_is_of_limited_size(presentations: dict[str, list[str]], fits: bool) -> None:
    if fits:
        assert read(vp_token=presentations) == VpToken(presentations)
        return
    with pytest.raises(Malformed):
        read(vp_token=presentations)


@pytest.mark.parametrize("error", [None, 1, {}, [], "", "x" * 101, 'quo"te', "back\\slash", "line\nbreak", "é"])
def test_an_error_is_an_error_code(error: Any) -> None:
    with pytest.raises(Malformed):
        read(error=error)


@pytest.mark.parametrize("secret", ["s3cr3t"])
def test_what_is_said_of_a_bad_response_holds_none_of_it(secret: str) -> None:
    for text in (
        json.dumps({"vp_token": {secret: [secret]}}),
        json.dumps({"vp_token": secret}),
        json.dumps({"error": f'"{secret}'}),
        f'{{"{secret}": 1, "{secret}": 2}}',
    ):
        with pytest.raises(Malformed) as malformed:
            read_response(text, query=QUERY)
        assert secret not in str(malformed.value)
