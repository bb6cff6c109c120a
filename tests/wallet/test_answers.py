from typing import Any

import pytest

from app.protocol import dcql
from app.wallet.answers import TYPES, Dialect, Finished, PresentationRequest, PresentationWanted, WebWanted, read_answer
from app.wallet.errors import WalletRefused

ORIGIN = "https://issuer.example"
PRESENTATION, WEB = TYPES["urn"].presentation, TYPES["urn"].web
QUERY = {"credentials": [{"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]}}]}
REQUEST = {"response_type": "vp_token", "response_mode": "iae_post", "nonce": "n-1.~_", "dcql_query": QUERY}


def judged(answer: dict[str, Any], dialect: Dialect = "urn") -> PresentationWanted | WebWanted | Finished:
    return read_answer(answer, types=TYPES[dialect], origin=ORIGIN)


def wanted(type_: str = PRESENTATION, **members: Any) -> dict[str, Any]:
    answer = {"status": "require_interaction", "type": type_, "auth_session": "a", **members}
    return {name: value for name, value in answer.items() if value is not None}


@pytest.mark.parametrize(
    ("dialect", "presentation", "web"),
    [
        ("urn", "urn:openid:dcp:iae:openid4vp_presentation", "urn:openid:dcp:iae:redirect_to_web"),
        ("bare", "openid4vp_presentation", "redirect_to_web"),
    ],
)
def test_reads_what_is_wanted_in_the_dialect_it_spoke(dialect: Dialect, presentation: str, web: str) -> None:
    asked = PresentationRequest(dcql.read_query(QUERY), "n-1.~_")
    assert judged(wanted(presentation, openid4vp_request=REQUEST), dialect) == PresentationWanted("a", asked)
    assert judged(wanted(web, request_uri="urn:x", expires_in=60), dialect) == WebWanted("a", "urn:x")
    assert judged({"status": "ok", "code": "c"}, dialect) == Finished("c")


def test_ignores_a_client_id_in_an_unsigned_request() -> None:
    asked = PresentationRequest(dcql.read_query(QUERY), "n-1.~_")
    assert judged(wanted(openid4vp_request={**REQUEST, "client_id": "x"})) == PresentationWanted("a", asked)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({}, "unusable_answer"),
        ({"status": "done", "code": "c"}, "unusable_answer"),
        ({"status": "ok"}, "unusable_answer"),
        ({"status": "ok", "code": ""}, "unusable_answer"),
        ({"status": "ok", "code": 1}, "unusable_answer"),
        (wanted(None, openid4vp_request=REQUEST), "unusable_answer"),  # type: ignore[arg-type]  # no type at all
        (wanted(auth_session=None, openid4vp_request=REQUEST), "unusable_answer"),
        (wanted(auth_session=["a"], openid4vp_request=REQUEST), "unusable_answer"),
        (wanted("urn:openid:dcp:iae:custom"), "unknown_interaction"),
        (wanted("redirect_to_web", request_uri="urn:x"), "unknown_interaction"),
        (wanted("urn:openid:dcp:ia:auth_via_web", request_uri="urn:x"), "unknown_interaction"),
        (wanted(WEB), "unusable_answer"),
        (wanted(WEB, openid4vp_request=REQUEST), "unusable_answer"),
        (wanted(), "unusable_request"),
        (wanted(openid4vp_request="eyJ"), "unusable_request"),
    ],
)
def test_refuses_answers(answer: dict[str, Any], code: str) -> None:
    with pytest.raises(WalletRefused) as refused:
        judged(answer)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"request": "eyJ"}, "unsupported_request"),
        ({"response_uri": "https://evil.example/"}, "unsupported_request"),
        ({"redirect_uri": "https://evil.example/"}, "unsupported_request"),
        ({"request_uri": "https://evil.example/"}, "unsupported_request"),
        ({"transaction_data": ["e30"]}, "unsupported_request"),
        ({"scope": "pid"}, "unsupported_request"),
        ({"response_type": "vp_token id_token"}, "unsupported_request"),
        ({"response_type": None}, "unsupported_request"),
        ({"response_mode": "iae_post.jwt"}, "unsupported_request"),
        ({"response_mode": "direct_post"}, "unsupported_request"),
        ({"response_mode": "ia_post"}, "unsupported_request"),
        ({"response_mode": None}, "unsupported_request"),
        ({"expected_origins": []}, "unusable_request"),
        ({"expected_origins": ["https://evil.example"]}, "unusable_request"),
        ({"expected_origins": ["https://issuer.example", "https://evil.example"]}, "unusable_request"),
        ({"nonce": None}, "unusable_request"),
        ({"nonce": ""}, "unusable_request"),
        ({"nonce": "n 1"}, "unusable_request"),
        ({"nonce": "n\n"}, "unusable_request"),
        ({"dcql_query": None}, "unusable_request"),
        ({"dcql_query": {"credentials": []}}, "unusable_request"),
        ({"dcql_query": "pid"}, "unusable_request"),
    ],
)
def test_refuses_presentation_requests(change: dict[str, Any], code: str) -> None:
    request = {name: value for name, value in {**REQUEST, **change}.items() if value is not None}
    with pytest.raises(WalletRefused) as refused:
        judged(wanted(openid4vp_request=request))
    assert refused.value.code == code


def test_ignores_what_it_does_not_know() -> None:
    request = {
        **REQUEST,
        "state": "s",
        "verifier_info": [],
        "expected_origins": [ORIGIN],
        "client_metadata": {"vp_formats_supported": {}},
        "dcql_query": {**QUERY, "purpose": "x"},
    }
    assert judged(wanted(openid4vp_request=request, more=1)) == judged(wanted(openid4vp_request=REQUEST))
