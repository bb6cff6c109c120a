from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from app.protocol import jose
from app.wallet.answers import TYPES, Dialect
from app.wallet.discovery import AuthorizationServer
from app.wallet.errors import ServerRefused, Unreachable, WalletError, WalletRefused
from app.wallet.interactive import MAX_INTERACTIONS, authorize_interactively
from app.wallet.presenting import Presenter
from tests.wallet.fakes import ISSUER, NOW, Reply, reply
from tests.wallet.walks import BARE, DONE, DPOP_NONCE, Walk, wants_presentation, wants_web


@pytest.mark.parametrize("dialect", ["urn", "bare"])
def test_presents_visits_the_web_and_brings_back_the_code(tmp_path: Path, dialect: Dialect) -> None:
    types = TYPES[dialect]
    answers = wants_presentation("a1", types.presentation), wants_web("a2", types.web)
    walk = Walk(tmp_path, *answers, brought_back=[{"code": "the-code"}])
    assert walk(dialect) == "the-code"
    first, second = walk.forms
    assert first == {
        **walk.request.parameters,
        "interaction_types_supported": f"{types.presentation},{types.web}",
    }
    assert first["issuer_state"] == "from-the-offer"
    # Nothing but what the interaction asked for.
    assert second.keys() == {"auth_session", "openid4vp_response"}
    assert second["auth_session"] == "a1"
    assert walk.agreed == [ISSUER]
    [visit] = walk.visited
    assert parse_qs(urlsplit(visit).query) == {"client_id": ["demo-wallet"], "request_uri": ["urn:request:a2"]}


def test_the_audience_is_the_origin_it_talks_to(tmp_path: Path) -> None:
    # Whatever the answer suggests.
    walk = Walk(tmp_path, wants_presentation("a1", aud="iae:https://evil.example", origin="https://evil.example"), DONE)
    walk()
    [presentation] = walk.response(1)["vp_token"]["pid"]
    binding = jose.parse_jwt(presentation.rpartition("~")[2]).payload
    assert (binding["aud"], binding["nonce"]) == ("iae:https://as.example:8443", "nonce-of-a1")


def test_goes_on_after_the_web_with_the_verifier(tmp_path: Path) -> None:
    walk = Walk(
        tmp_path,
        wants_web("a1"),
        wants_presentation("a3"),
        wants_web("a4"),
        DONE,
        brought_back=[{"auth_session": "a2"}, {"auth_session": "a5"}],
    )
    assert walk() == "the-code"
    verifier = walk.request.code_verifier
    assert [form.get("auth_session") for form in walk.forms] == [None, "a2", "a3", "a5"]
    assert walk.forms[1] == {"auth_session": "a2", "code_verifier": verifier}
    assert [form.get("code_verifier") for form in walk.forms] == [None, verifier, None, verifier]


def test_every_request_has_a_fresh_proof_of_one_key(tmp_path: Path) -> None:
    walk = Walk(tmp_path, DPOP_NONCE, wants_presentation("a1"), DPOP_NONCE, DONE)
    assert walk() == "the-code"
    proofs = [jose.parse_jwt(request.headers["dpop"]) for request in walk.server.requests]
    assert len(proofs) == 4
    assert len({proof.header["jwk"]["x"] for proof in proofs}) == 1
    assert len({proof.payload["jti"] for proof in proofs}) == 4
    assert walk.forms[2] == walk.forms[3]


def test_no_is_told_and_nothing_presented(tmp_path: Path) -> None:
    refused = reply({"error": "access_denied"}, 400)
    walk = Walk(tmp_path, wants_presentation("a1"), refused)
    with pytest.raises(WalletRefused, match="declined"):
        walk(agree=False)
    assert walk.forms[1] == {"auth_session": "a1", "openid4vp_response": '{"error":"access_denied"}'}
    assert len(walk.forms) == 2


def test_nothing_to_present_sends_nothing(tmp_path: Path) -> None:
    query = {"credentials": [{"id": "x", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:other:1"]}}]}
    walk = Walk(tmp_path, wants_presentation("a1", dcql_query=query), DONE)
    with pytest.raises(WalletRefused, match=r"urn:other:1; get that first"):
        walk()
    assert len(walk.forms) == 1
    assert walk.agreed == []


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([reply({"error": "invalid_request", "error_description": "No."}, 400)], "invalid_request"),
        ([reply({"error": "missing_interaction_type"}, 400)], "missing_interaction_type"),
        ([httpx2.Response(302, headers={"location": "https://evil.example"})], "unusable_answer"),
        ([reply({"status": "ok", "code": "c"}, 201)], "unusable_answer"),
        ([wants_presentation("a1", BARE.presentation)], "unknown_interaction"),
        ([wants_presentation("a1", response_mode="iae_post.jwt")], "unsupported_request"),
        ([wants_presentation("a1"), reply({"error": "access_denied"}, 400)], "access_denied"),
        # A handle that was there before.
        ([wants_presentation("a1"), wants_presentation("a1"), DONE], "unusable_answer"),
        ([wants_presentation("a1"), wants_web("a1")], "unusable_answer"),
        ([wants_web("a2"), DONE], "unusable_answer"),
    ],
)
def test_stops_where_something_is_wrong(tmp_path: Path, answers: list[Reply], code: str) -> None:
    walk = Walk(tmp_path, *answers, brought_back=[{"auth_session": "a2"}])
    with pytest.raises(WalletError) as stopped:
        walk()
    assert stopped.value.code == code
    assert len(walk.forms) == len([answer for answer in answers if answer is not DONE])


@pytest.mark.parametrize(
    ("brought_back", "code"),
    [
        ({"code": "c", "iss": "https://evil.example"}, "issuer_mismatch"),
        ({"auth_session": "a2", "iss": "https://evil.example"}, "issuer_mismatch"),
        ({"auth_session": "a2", "state": "another"}, "state_mismatch"),
        ({"code": "c", "auth_session": "a2"}, "unusable_answer"),
        ({"error": "access_denied"}, "access_denied"),
    ],
)
def test_a_redirect_that_is_not_the_answer_ends_it(tmp_path: Path, brought_back: dict[str, str], code: str) -> None:
    walk = Walk(tmp_path, wants_web("a1"), DONE, brought_back=[brought_back])
    with pytest.raises(WalletError) as stopped:
        walk()
    assert stopped.value.code == code
    assert len(walk.forms) == 1


def test_an_end_must_come(tmp_path: Path) -> None:
    handles = (f"a{index}" for index in range(1000))
    walk = Walk(tmp_path, lambda _: wants_presentation(next(handles)))
    with pytest.raises(WalletRefused, match="endless"):
        walk()
    assert len(walk.forms) == MAX_INTERACTIONS + 1


def cut(count: int, then: httpx2.Response) -> Callable[[httpx2.Request], httpx2.Response]:
    """Lose so many answers, then answer."""
    left = iter(range(count))

    def answer(request: httpx2.Request) -> httpx2.Response:
        if next(left, None) is not None:
            raise httpx2.ReadError("connection lost", request=request)
        return then

    return answer


def test_a_lost_answer_is_asked_for_once_more(tmp_path: Path) -> None:
    walk = Walk(tmp_path / "1", wants_presentation("a1"), cut(1, DONE))
    assert walk() == "the-code"
    _, lost, again = walk.server.requests
    assert lost.content == again.content
    assert lost.headers["dpop"] != again.headers["dpop"]
    # The person is not asked a second time.
    assert walk.agreed == [ISSUER]

    walk = Walk(tmp_path / "2", wants_presentation("a1"), cut(2, DONE))
    with pytest.raises(Unreachable):
        walk()
    # A request that began nothing may have begun something: it is not sent twice.
    walk = Walk(tmp_path / "3", cut(1, DONE))
    with pytest.raises(Unreachable):
        walk()
    assert len(walk.server.requests) == 1


def test_a_server_without_the_endpoint_is_not_asked(tmp_path: Path) -> None:
    server = AuthorizationServer(ISSUER, f"{ISSUER}/authorize", f"{ISSUER}/token", f"{ISSUER}/par")
    walk = Walk(tmp_path, wants_web("a1"), brought_back=[{"code": "c"}])
    walk()
    presenter = Presenter(walk.store, only=(), agree=lambda *_: True, now=lambda: NOW)
    with pytest.raises(WalletRefused, match="unsupported_server"):
        authorize_interactively(
            walk.server.sender(), server, walk.request, dialect="urn", browse=str, presenter=presenter
        )


def test_errors_of_the_server_are_told_in_its_words(tmp_path: Path) -> None:
    walk = Walk(tmp_path, reply({"error": "access_denied", "error_description": "Not you."}, 400))
    with pytest.raises(ServerRefused, match=r"access_denied: Not you\."):
        walk()
