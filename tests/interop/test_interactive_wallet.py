"""The published OpenID4VCI library walks the interactive endpoint and gets what the university issues for a PID."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.main import Service
from app.protocol.offer import credential_offer, offer_link
from tests.interop.node import Node
from tests.support.database import KINDS
from tests.support.documents import document, university
from tests.support.fakes import RunningClock
from tests.support.raw_wallet import PASSWORD, REDIRECT_URI, USERNAME
from tests.support.served import serving
from tests.support.server import RunningServer

pytestmark = pytest.mark.interop

ASKED = {"status", "type", "auth_session"}


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """PID provider and university on either database, with the machine's clock, as the library has it."""
    folder = tmp_path_factory.mktemp("server")
    with serving(request, request.param, folder, document(), university(), clock=RunningClock()) as running:
        yield running


def take_up(node: Node, server: RunningServer, *configurations: str, **bent: Any) -> dict[str, Any]:
    """Let the library take up an offer of a PID, then offers of the university; return what happened."""

    async def offers(service: Service) -> list[str]:
        links = []
        for slug, configuration in [("pid-provider", "pid"), *(("university", name) for name in configurations)]:
            tenancy = await service.tenancies.by_slug(slug)
            assert tenancy is not None
            state = tenancy.fresh_nonce("issuer_state")
            links.append(offer_link(credential_offer(tenancy.issuer, [configuration], issuer_state=state)))
        return links

    person = {"redirectUri": REDIRECT_URI, "username": USERNAME, "password": PASSWORD}
    happened: dict[str, Any] = node.run("interactive.mjs", {"offers": server.beside(offers), **person, **bent})
    return happened


@pytest.fixture(scope="module")
def walk(node: Node, server: RunningServer) -> dict[str, Any]:
    """What happened on the way to a PID, a student card and a diploma."""
    return take_up(node, server, "student-card", "diploma")


def said(taken: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the endpoint answered after it had handed out its DPoP nonce."""
    asked_for_nonce, *others = taken["exchanges"]
    assert (asked_for_nonce["status"], asked_for_nonce["answer"]["error"]) == (400, "use_dpop_nonce")
    assert [(exchange["status"], exchange["dpop"]) for exchange in others] == [(200, True)] * len(others)
    return [exchange["answer"] for exchange in others]


def check_credential(taken: dict[str, Any], walk: dict[str, Any], server: RunningServer) -> None:
    """Check what every credential of the university has in common."""
    assert taken["header"]["typ"] == "dc+sd-jwt"
    assert taken["claims"]["iss"] == server.issuer("university")
    assert taken["claims"]["cnf"] == {"jwk": walk["holderJwk"]}
    assert taken["token"]["type"].lower() == "dpop"
    assert taken["token"]["claims"]["cnf"] == {"jkt": taken["dpopThumbprint"]}


def test_it_understands_all_of_the_metadata(walk: dict[str, Any]) -> None:
    _, card, _ = walk["taken"]
    assert card["specification"] == "V1"
    assert sorted(card["understood"]) == ["diploma", "diploma-unlinked", "student-card"]


@pytest.mark.rule("D1-01", "D1-03", "IA-14")
def test_a_student_card_for_a_presentation(walk: dict[str, Any], server: RunningServer) -> None:
    _, card, _ = walk["taken"]
    asked, done = said(card)
    assert asked.keys() == {*ASKED, "openid4vp_request"}
    assert asked["type"] == "openid4vp_presentation"
    assert done.keys() == {"status", "code"}
    assert done["status"] == "ok"
    assert card["exchanges"][-1]["form"].keys() == {"auth_session", "openid4vp_response"}
    check_credential(card, walk, server)
    presented = {"given_name": "Erika", "family_name": "Mustermann"}
    assert (
        card["claims"].items() >= {"vct": "urn:example:student-card:1", "university": "University", **presented}.items()
    )
    assert "birthdate" not in card["claims"]


@pytest.mark.rule("D1-02", "IA-10", "IA-36")
def test_a_diploma_for_a_presentation_and_a_visit_of_the_pages(walk: dict[str, Any], server: RunningServer) -> None:
    _, _, diploma = walk["taken"]
    asked, sent_to_pages = said(diploma)
    assert asked["status"] == sent_to_pages["status"] == "require_interaction"
    assert sent_to_pages.keys() == {*ASKED, "request_uri", "expires_in"}
    assert sent_to_pages["type"] == "redirect_to_web"
    assert sent_to_pages["auth_session"] != asked["auth_session"]
    check_credential(diploma, walk, server)
    assert diploma["claims"]["vct"] == "urn:example:diploma:1"
    assert diploma["claims"]["birthdate"] == "1964-08-12"
    assert diploma["claims"]["degree"] == "Master of Science"


@pytest.mark.rule("IA-21", "IA-23", "D1-05")
def test_the_presentation_request_is_unsigned_and_of_its_schema(walk: dict[str, Any]) -> None:
    # The wallet puts it through the library's schema, which refuses what signed requests hold in the current text.
    for taken in walk["taken"][1:]:
        request = said(taken)[0]["openid4vp_request"]
        assert request.keys() == {"response_type", "response_mode", "nonce", "dcql_query", "client_metadata"}
        assert request["response_mode"] == "iae_post"


@pytest.mark.rule("IA-50")
@pytest.mark.parametrize("sends", [True, False], ids=["with issuer_state", "without"])
def test_its_helpers_get_a_student_card(node: Node, server: RunningServer, sends: bool) -> None:
    happened = take_up(node, server, "student-card", by="helpers", sendIssuerState=sends)
    _, card = happened["taken"]
    assert [("issuer_state" in exchange["form"]) for exchange in card["exchanges"]] == [sends, sends, False]
    check_credential(card, happened, server)


@pytest.mark.rule("D1-04", "D1-06", "IA-03")
@pytest.mark.parametrize(
    ("bent", "refused"),
    [
        ({"answerNonce": "of another session"}, "access_denied"),
        ({"interactionTypes": "redirect_to_web"}, "missing_interaction_type"),
    ],
    ids=["another nonce", "no presentations"],
)
def test_it_reads_a_refusal(node: Node, server: RunningServer, bent: dict[str, str], refused: str) -> None:
    _, card = take_up(node, server, "student-card", **bent)["taken"]
    assert card.get("refused") == refused
    last = card["exchanges"][-1]
    assert last["status"] == 400
    assert last["answer"].keys() <= {"error", "error_description"}
