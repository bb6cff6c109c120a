"""Web steps of interactive sessions: the browser's leg, and how the wallet comes back from it."""

from contextlib import closing

import pytest

from tests.http.interactive import (
    assert_asks_for_browser,
    assert_asks_for_presentation,
    assert_code,
    assert_session_error,
    no_code,
)
from tests.http.pages import asks_to_sign_in, assert_error_page, is_consent
from tests.http.refusals import assert_kept, assert_oauth_refused
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.raw_wallet import ABSENT, Browser, redirect_parameters
from tests.support.server import RunningServer

PREFIX = "urn:ietf:params:oauth:request_uri:"


class TestTheRequestUri:
    @pytest.mark.rule("IA-32", "PAR-06")
    def test_it_is_fresh_and_unguessable(self, speaker: InteractiveWallet) -> None:
        speaker.scope = "visitor-card"
        found = [assert_asks_for_browser(speaker, speaker.begin(dpop=False)) for _ in range(20)]
        assert len(set(found)) == 20
        assert {len(one.removeprefix(PREFIX)) for one in found} == {43}

    @pytest.mark.rule("IA-32", "C-04")
    def test_it_is_of_one_client(self, speaker: InteractiveWallet, browser: Browser) -> None:
        speaker.scope = "visitor-card"
        asked = speaker.begin()
        url = speaker.web_url(asked)
        assert_error_page(browser.get(url.replace("demo-wallet", "other-wallet")))
        assert asks_to_sign_in(browser.get(url))

    @pytest.mark.rule("IA-32", "C-05")
    def test_it_may_be_loaded_again_until_the_end(self, speaker: InteractiveWallet, browser: Browser) -> None:
        speaker.scope = "visitor-card"
        url = speaker.web_url(speaker.begin())
        browser.get(url)
        page = browser.sign_in(browser.get(url))
        assert is_consent(browser.get(url))
        assert "code" in redirect_parameters(browser.submit(page))
        assert_error_page(browser.get(url))
        with closing(Browser()) as stranger:
            assert_error_page(stranger.get(url))

    @pytest.mark.rule("IA-32")
    def test_it_ends_unopened(self, own_campus: RunningServer) -> None:
        with interactive_wallet(own_campus, scope="visitor-card") as wallet, closing(Browser()) as browser:
            url, late = wallet.web_url(wallet.begin()), wallet.web_url(wallet.begin())
            assert asks_to_sign_in(browser.get(url))
            own_campus.clock.advance(61)
            assert_error_page(browser.get(late))
            assert "code" in redirect_parameters(browser.submit(browser.sign_in(browser.get(url))))

    @pytest.mark.rule("IA-33", "C-07")
    def test_what_is_added_to_the_url_has_no_effect(self, speaker: InteractiveWallet, browser: Browser) -> None:
        speaker.scope = "visitor-card"
        evil = "&redirect_uri=https%3A%2F%2Fevil.example&scope=diploma&state=x&code_challenge=x"
        redirect = browser.walk(speaker.web_url(speaker.begin()) + evil)
        assert redirect.headers["location"].startswith(speaker.redirect_uri)
        found = redirect_parameters(redirect)
        assert found["state"] == "st&te+1"
        assert speaker.exchange(found["code"]).status_code == 200


class TestTheWayBack:
    @pytest.mark.rule("IA-36", "C-19")
    def test_where_nothing_remains_the_redirect_has_the_code(self, speaker: InteractiveWallet, victim: Person) -> None:
        speaker.scope = "diploma"
        asked = speaker.show(speaker.begin(), victim.pid)
        redirect = speaker.agree(asked)
        assert redirect.keys() == {"code", "state", "iss"}
        assert (redirect["state"], redirect["iss"]) == ("st&te+1", speaker.issuer)
        assert_session_error(speaker, speaker.follow_up(asked))
        assert_kept(speaker, redirect["code"])

    @pytest.mark.rule("IA-36", "IA-37", "IA-38")
    def test_where_more_remains_it_has_a_handle_known_to_nobody_else(
        self, speaker: InteractiveWallet, victim: Person
    ) -> None:
        speaker.scope = "alumni-card"
        first = speaker.begin()
        on_the_web = speaker.show(first, victim.pid)
        redirect = speaker.agree(on_the_web)
        assert redirect.keys() == {"auth_session", "state", "iss"}
        assert (redirect["state"], redirect["iss"]) == ("st&te+1", speaker.issuer)
        handles = [first.json()["auth_session"], on_the_web.json()["auth_session"], redirect["auth_session"]]
        assert len(set(handles)) == 3
        verifier = {"code_verifier": speaker.verifier}
        assert_session_error(speaker, speaker.follow_up(on_the_web, verifier))
        again = speaker.follow_up(redirect["auth_session"], verifier)
        request = assert_asks_for_presentation(speaker, again)
        # A nonce of its own (B-16): what answered the first step is no answer here.
        assert request["nonce"] != first.json()["openid4vp_request"]["nonce"]
        assert_kept(speaker, assert_code(speaker.show(again, victim.pid)))

    @pytest.mark.rule("B-16", "IA-19")
    def test_the_presentation_of_one_step_is_none_of_another(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
    ) -> None:
        speaker.scope = "alumni-card"
        first = speaker.begin()
        shown = speaker.present(first, victim.pid)
        redirect = speaker.agree(speaker.respond(first, shown))
        again = speaker.follow_up(redirect["auth_session"], {"code_verifier": speaker.verifier})
        with no_code(campus_server):
            assert_oauth_refused(speaker.respond(again, shown), 400, "access_denied")
            assert_session_error(speaker, speaker.show(again, victim.pid))

    @pytest.mark.rule("IA-38", "B-07")
    @pytest.mark.parametrize(
        ("verifier", "code"),
        [
            (ABSENT, "invalid_request"),
            ("", "invalid_request"),
            ("short", "invalid_request"),
            ("x" * 129, "invalid_request"),
            ("é" * 43, "invalid_request"),
            ("x" * 43, "invalid_grant"),
        ],
    )
    def test_it_takes_the_verifier_of_the_start(
        self, speaker: InteractiveWallet, victim: Person, verifier: object, code: str
    ) -> None:
        speaker.scope = "alumni-card"
        handle = speaker.agree(speaker.show(speaker.begin(), victim.pid))["auth_session"]
        for _ in range(6):
            assert_oauth_refused(speaker.follow_up(handle, {"code_verifier": verifier}), 400, code)
        assert_asks_for_presentation(speaker, speaker.follow_up(handle, {"code_verifier": speaker.verifier}))

    @pytest.mark.rule("IA-39")
    def test_and_so_does_the_token_endpoint(self, speaker: InteractiveWallet, victim: Person) -> None:
        speaker.scope = "alumni-card"
        handle = speaker.agree(speaker.show(speaker.begin(), victim.pid))["auth_session"]
        again = speaker.follow_up(handle, {"code_verifier": speaker.verifier})
        code = assert_code(speaker.show(again, victim.pid))
        for verifier in (ABSENT, "x" * 43):
            assert_oauth_refused(speaker.exchange(code, {"code_verifier": verifier}), 400, "invalid_grant")
        assert_kept(speaker, code)

    @pytest.mark.rule("IA-38", "B-05")
    def test_a_presentation_is_no_return(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
    ) -> None:
        speaker.scope = "alumni-card"
        first = speaker.begin()
        shown = speaker.present(first, victim.pid)
        handle = speaker.agree(speaker.respond(first, shown))["auth_session"]
        with no_code(campus_server):
            response = {"vp_token": {"pid": [shown]}}
            assert_oauth_refused(speaker.send(handle, response), 400, "invalid_request")
        assert_asks_for_presentation(speaker, speaker.follow_up(handle, {"code_verifier": speaker.verifier}))

    @pytest.mark.rule("IA-36")
    def test_web_steps_may_come_first(self, speaker: InteractiveWallet, victim: Person) -> None:
        speaker.scope = "library-card"
        asked = speaker.begin()
        assert_asks_for_browser(speaker, asked)
        with closing(Browser()) as browser:
            redirect = redirect_parameters(browser.sign_in(browser.get(speaker.web_url(asked))))
        assert redirect.keys() == {"auth_session", "state", "iss"}
        again = speaker.follow_up(redirect["auth_session"], {"code_verifier": speaker.verifier})
        assert_asks_for_presentation(speaker, again)
        assert_kept(speaker, assert_code(speaker.show(again, victim.pid)))


class TestWhoFinishes:
    @pytest.mark.rule("B-07", "IA-17")
    def test_whoever_lures_somebody_into_his_session_gains_nothing(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
    ) -> None:
        # The attacker opens the session and sends the link; the victim signs in and agrees, and lands at the wallet.
        for scope in ("visitor-card", "library-card"):
            asked = speaker.begin({"scope": scope})
            with closing(Browser()) as browser:
                page = browser.sign_in(browser.get(speaker.web_url(asked)))
                if scope == "visitor-card":
                    assert "Demo Wallet" in page.text
                    page = browser.submit(page)
                assert page.status_code == 303
            with no_code(campus_server):
                for verifier in (ABSENT, speaker.verifier, "x" * 43):
                    assert_session_error(speaker, speaker.follow_up(asked, {"code_verifier": verifier}))

    @pytest.mark.rule("B-06", "IA-41")
    def test_knowing_the_handles_finishes_no_page(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
    ) -> None:
        speaker.scope = "diploma"
        asked = speaker.show(speaker.begin(), victim.pid)
        handles = asked.json()
        form = {
            "request_uri": handles["request_uri"],
            "auth_session": handles["auth_session"],
            "step": "confirm",
            "action": "approve",
            "form_token": handles["auth_session"],
        }
        with no_code(campus_server), closing(Browser()) as browser:
            for cookie in ({}, {"Cookie": f"vestibule={handles['auth_session']}"}):
                sent = browser.http.post(f"{speaker.issuer}/authorize/answer", data=form, headers=cookie)
                assert_error_page(sent, 403)
            assert_oauth_refused(speaker.follow_up(asked, {"code_verifier": speaker.verifier}), 400, "invalid_request")
        assert "code" in speaker.agree(asked)

    @pytest.mark.rule("IA-43")
    @pytest.mark.parametrize("scope", ["visitor-card", "diploma", "alumni-card"])
    def test_who_refuses_ends_the_session(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person, browser: Browser, scope: str
    ) -> None:
        speaker.scope = scope
        asked = speaker.begin()
        if scope != "visitor-card":
            asked = speaker.show(asked, victim.pid)
        with no_code(campus_server):
            refused = redirect_parameters(browser.submit(browser.get(speaker.web_url(asked)), {"action": "refuse"}))
            assert (refused["error"], refused["state"], refused["iss"]) == ("access_denied", "st&te+1", speaker.issuer)
            assert refused.keys() == {"error", "error_description", "state", "iss"}
            assert_session_error(speaker, speaker.follow_up(asked, {"code_verifier": speaker.verifier}))
            assert_error_page(browser.get(speaker.web_url(asked)))

    @pytest.mark.rule("B-26")
    def test_a_browser_that_signed_in_for_another_request_signs_in_again(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person, browser: Browser
    ) -> None:
        speaker.scope = "visitor-card"
        assert "code" in redirect_parameters(browser.walk(speaker.web_url(speaker.begin()), "max"))
        assert is_consent(browser.sign_in(browser.get(speaker.web_url(speaker.begin())), "max"))
        # One login is finished, the other lies about; neither says who agrees to the next request.
        assert asks_to_sign_in(browser.get(speaker.web_url(speaker.begin())))
        speaker.scope = "diploma"
        with no_code(campus_server):
            page = browser.get(speaker.web_url(speaker.show(speaker.begin(), victim.pid)))
            assert is_consent(page)
            assert "Max" not in page.text
