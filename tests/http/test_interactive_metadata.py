"""What the metadata says about the interactive endpoint is so; and the codes it hands out in JSON."""

from contextlib import closing

import pytest

from tests.http.interactive import assert_asks_for_browser, assert_asks_for_presentation, assert_code
from tests.http.refusals import assert_kept, assert_oauth_refused
from tests.http.well_known import metadata
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.raw_wallet import ABSENT, Browser
from tests.support.server import RunningServer


@pytest.mark.rule("ASM-18", "D1-01")
@pytest.mark.parametrize("slug", ["university", "college", "pid-provider"])
def test_the_endpoint_is_where_it_is_said_to_be(campus_server: RunningServer, slug: str) -> None:
    with interactive_wallet(campus_server, slug) as wallet:
        endpoint = metadata(wallet)["interactive_authorization_endpoint"]
        assert endpoint == wallet.endpoint
        scope = "pid" if slug == "pid-provider" else "student-card"
        assert wallet.begin({"scope": scope}).status_code == 200


@pytest.mark.rule("ASM-19", "ASM-22")
def test_it_is_required_where_no_credential_can_be_had_otherwise(campus_server: RunningServer) -> None:
    required = "require_interactive_authorization_request"
    for slug in ("university", "pid-provider"):
        with interactive_wallet(campus_server, slug) as wallet:
            assert required not in metadata(wallet)
    with interactive_wallet(campus_server, "college", scope="diploma") as wallet:
        document = metadata(wallet)
        assert document[required] is True
        assert "interactive_authorization_endpoint" in document
        wallet.begin()
        for scope in ("diploma", "diploma-unlinked", "student-card"):
            assert_oauth_refused(wallet.push({"scope": scope}), 400, "invalid_request")


@pytest.mark.rule("ASM-22")
def test_a_request_uri_of_the_endpoint_works_there(campus_server: RunningServer, victim: Person) -> None:
    with (
        interactive_wallet(campus_server, "college", scope="diploma", holder=victim.holder) as wallet,
        closing(Browser()) as browser,
    ):
        answer = wallet.show(wallet.begin(), victim.pid)
        assert_asks_for_browser(wallet, answer)
        plain = f"{wallet.issuer}/authorize?client_id=demo-wallet&response_type=code&scope=diploma"
        assert browser.get(plain).status_code == 400
        assert "code" in wallet.agree(answer)


@pytest.mark.rule("IA-50")
def test_an_offer_is_not_needed_and_may_be_named(
    campus_server: RunningServer, erika: InteractiveWallet, victim: Person
) -> None:
    async def mint(service: object) -> str:
        tenancy = await service.tenancies.by_slug("university")  # type: ignore[attr-defined]  # a Service
        state: str = tenancy.fresh_nonce("issuer_state")
        return state

    state = campus_server.beside(mint)
    assert_asks_for_presentation(erika, erika.begin())
    assert_code(erika.show(erika.begin({"issuer_state": state}), victim.pid))
    assert_oauth_refused(erika.begin({"issuer_state": state}), 400, "invalid_request")


class TestCodesInJson:
    @pytest.mark.rule("TOK-08")
    @pytest.mark.parametrize("sent", [ABSENT, "http://localhost:9555/callback"])
    def test_they_need_no_redirect_uri(self, speaker: InteractiveWallet, victim: Person, sent: object) -> None:
        code = assert_code(speaker.show(speaker.begin({"redirect_uri": sent}), victim.pid))
        assert speaker.exchange(code, {"redirect_uri": ABSENT}).status_code == 200

    @pytest.mark.rule("TOK-08")
    @pytest.mark.parametrize("sent", [ABSENT, "http://localhost:9555/callback"])
    def test_but_no_other_one(self, speaker: InteractiveWallet, victim: Person, sent: object) -> None:
        code = assert_code(speaker.show(speaker.begin({"redirect_uri": sent}), victim.pid))
        for other in ("https://wallet.example/cb", "https://evil.example/cb"):
            assert_oauth_refused(speaker.exchange(code, {"redirect_uri": other}), 400, "invalid_grant")
        assert speaker.exchange(code, {"redirect_uri": sent}).status_code == 200

    @pytest.mark.rule("TOK-08")
    def test_one_that_came_by_a_redirect_needs_it(self, speaker: InteractiveWallet, victim: Person) -> None:
        speaker.scope = "diploma"
        code = speaker.agree(speaker.show(speaker.begin(), victim.pid))["code"]
        assert_oauth_refused(speaker.exchange(code, {"redirect_uri": ABSENT}), 400, "invalid_grant")
        assert_kept(speaker, code)

    @pytest.mark.rule("B-11")
    def test_they_grant_what_was_asked_for(self, speaker: InteractiveWallet, victim: Person) -> None:
        details = '[{"type":"openid_credential","credential_configuration_id":"diploma"}]'
        code = assert_code(speaker.show(speaker.begin(), victim.pid))
        widened = speaker.exchange(code, {"authorization_details": details})
        assert_oauth_refused(widened, 400, "invalid_authorization_details")
        answer = speaker.exchange(code, {"scope": "student-card diploma"})
        assert answer.status_code in (200, 400)
        if answer.status_code == 200:
            speaker.scope = "diploma"
            assert speaker.derived(answer.json()["access_token"]).status_code == 403
