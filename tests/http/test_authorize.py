"""The authorization endpoint over HTTP: who gets in, who finishes, and where the browser goes in the end.

This module's tests move the shared clock forward.
"""

import socket
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from tests.http.pages import asks_to_sign_in, assert_error_page, is_consent
from tests.http.state import count_rows
from tests.support.documents import OTHER_SLUG
from tests.support.raw_wallet import ABSENT, REDIRECT_URI, Browser, RawWallet, redirect_parameters
from tests.support.server import RunningServer, free_port

PREFIX = "urn:ietf:params:oauth:request_uri:"


def assert_finishes(browser: Browser, wallet: RawWallet, page: httpx2.Response) -> dict[str, str]:
    """Assert that a browser at the sign-in page gets a code the wallet can use; return the redirect's parameters."""
    redirect = redirect_parameters(browser.submit(browser.sign_in(page)))
    assert wallet.exchange(redirect["code"]).status_code == 200
    return redirect


# Who gets in


@pytest.mark.rule("AZ-01", "AZ-02", "PAR-09")
def test_a_pushed_request_leads_through_sign_in_and_consent_to_a_code(
    server: RunningServer, wallet: RawWallet, browser: Browser
) -> None:
    codes = count_rows(server, "authorization_codes")
    url = wallet.authorize_url(wallet.push())
    page = browser.get(url)
    assert page.status_code == 200
    assert asks_to_sign_in(page)
    # Reloading before the end is no second use.
    assert browser.get(url).status_code == 200
    consent = browser.sign_in(page)
    assert is_consent(consent)
    assert browser.get(url).text == consent.text
    assert count_rows(server, "authorization_codes") == codes
    redirect = redirect_parameters(browser.submit(consent))
    assert count_rows(server, "authorization_codes") == codes + 1
    assert wallet.exchange(redirect["code"]).status_code == 200


@pytest.mark.rule("ASM-14", "AZ-12", "C-08")
def test_a_request_that_was_not_pushed_is_refused(server: RunningServer, wallet: RawWallet, browser: Browser) -> None:
    metadata = browser.get(f"{wallet.issuer}/.well-known/oauth-authorization-server").json()
    assert metadata["require_pushed_authorization_requests"] is True
    before = count_rows(server, "sessions")
    assert_error_page(browser.get(f"{metadata['authorization_endpoint']}?{urlencode(wallet.push_form())}"))
    assert count_rows(server, "sessions") == before


@pytest.mark.rule("AZ-04", "G-12", "C-03")
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"client_id": "demo-wallet"},
        {"request_uri": PREFIX + "x"},
        {"client_id": "nobody", "request_uri": PREFIX + "x", "redirect_uri": REDIRECT_URI},
        {"client_id": "demo-wallet", "redirect_uri": REDIRECT_URI, "response_type": "code", "state": "s"},
        {"client_id": "demo-wallet", "redirect_uri": "https://evil.example/cb", "response_type": "code"},
        {"client_id": "demo-wallet", "redirect_uri": "javascript:alert(1)", "response_type": "code"},
        {"client_id": "demo-wallet", "redirect_uri": "data:text/html,x", "response_type": "token"},
        {"client_id": "demo-wallet", "request": "e30.e30.", "redirect_uri": REDIRECT_URI},
        {"error": "x", "redirect_uri": "//evil.example"},
    ],
)
def test_nobody_is_sent_anywhere_by_a_request_that_is_not_known(
    wallet: RawWallet, browser: Browser, query: dict[str, str]
) -> None:
    page = assert_error_page(browser.get(f"{wallet.issuer}/authorize?{urlencode(query)}"))
    assert "evil.example" not in page
    assert "javascript" not in page


@pytest.mark.rule("C-27", "G-07", "AZ-04")
@pytest.mark.parametrize("name", ["client_id", "request_uri", "x_unknown"])
def test_a_repeated_parameter_is_an_error_page(wallet: RawWallet, browser: Browser, name: str) -> None:
    url = wallet.authorize_url(wallet.push(), x_unknown="1")
    [value] = [value for key, value in parse_qsl(urlsplit(url).query) if key == name]
    assert_error_page(browser.get(f"{url}&{urlencode({name: value})}"))
    assert browser.get(url).status_code == 200


@pytest.mark.rule("PAR-07", "C-04")
@pytest.mark.parametrize("other", ["other-wallet", "retired-wallet", "nobody", "DEMO-WALLET"])
def test_a_request_uri_belongs_to_the_client_that_pushed_it(wallet: RawWallet, browser: Browser, other: str) -> None:
    pushed = wallet.push()
    assert_error_page(browser.get(wallet.authorize_url(pushed, client_id=other)))
    assert_finishes(browser, wallet, browser.get(wallet.authorize_url(pushed)))


@pytest.mark.rule("O-10", "PAR-08", "C-06")
def test_unknown_expired_finished_and_foreign_requests_look_alike(
    server: RunningServer, wallet: RawWallet, browser: Browser, second_browser: Browser
) -> None:
    finished = wallet.authorize_url(wallet.push())
    browser.walk(finished)
    expired = wallet.authorize_url(wallet.push())
    server.clock.advance(60)
    pushed = wallet.push()
    handle = pushed.json()["request_uri"]
    with server.wallet(OTHER_SLUG) as stranger:
        foreign = wallet.authorize_url(stranger.push())
    pages = {
        assert_error_page(second_browser.get(url))
        for url in (
            finished,
            expired,
            foreign,
            wallet.authorize_url(pushed, client_id="other-wallet"),
            wallet.authorize_url(pushed, request_uri=PREFIX + "A" * 43),
            wallet.authorize_url(pushed, request_uri=PREFIX),
            wallet.authorize_url(pushed, request_uri=handle[:-1]),
            wallet.authorize_url(pushed, request_uri=handle + "A"),
            wallet.authorize_url(pushed, request_uri=handle.removeprefix(PREFIX)),
            wallet.authorize_url(pushed, request_uri="https://evil.example/request.jwt"),
            wallet.authorize_url(pushed, request_uri="ü"),
        )
    }
    assert len(pages) == 1
    assert second_browser.get(wallet.authorize_url(pushed)).status_code == 200


@pytest.mark.rule("C-06")
def test_no_request_uri_is_ever_fetched(wallet: RawWallet, browser: Browser) -> None:
    with closing(socket.create_server(("127.0.0.1", free_port()))) as canary:
        canary.setblocking(False)
        elsewhere = f"http://localhost:{canary.getsockname()[1]}/request.jwt"
        assert_error_page(browser.get(wallet.authorize_url(wallet.push(), request_uri=elsewhere)))
        with pytest.raises(BlockingIOError):
            canary.accept()


# Time


@pytest.mark.rule("PAR-08", "PAR-09")
def test_the_request_uri_expires_for_browsers_that_were_not_in_yet(
    server: RunningServer, wallet: RawWallet, browser: Browser, second_browser: Browser
) -> None:
    pushed = wallet.push()
    url = wallet.authorize_url(pushed)
    server.clock.advance(pushed.json()["expires_in"] - 1)
    page = browser.get(url)
    server.clock.advance(1)
    assert_error_page(second_browser.get(url))
    # Who came in time may reload and finish.
    assert browser.get(url).text == page.text
    server.clock.advance(600)
    assert_finishes(browser, wallet, browser.get(url))


@pytest.mark.rule("PAR-08")
def test_a_session_ends_after_fifteen_minutes_for_everybody(
    server: RunningServer, wallet: RawWallet, browser: Browser, second_browser: Browser
) -> None:
    url = wallet.authorize_url(wallet.push())
    page = browser.get(url)
    consent = second_browser.sign_in(second_browser.get(url))
    codes = count_rows(server, "authorization_codes")
    server.clock.advance(899)
    assert browser.get(url).status_code == 200
    server.clock.advance(1)
    assert_error_page(browser.get(url))
    assert_error_page(browser.sign_in(page))
    assert_error_page(second_browser.submit(consent))
    assert_error_page(second_browser.submit(consent, {"action": "refuse"}))
    assert count_rows(server, "authorization_codes") == codes


# Several browsers, one code


@pytest.mark.rule("C-05", "PAR-09")
def test_the_first_browser_to_finish_wins(
    server: RunningServer, wallet: RawWallet, browser: Browser, second_browser: Browser
) -> None:
    url = wallet.authorize_url(wallet.push())
    codes, flows = count_rows(server, "authorization_codes"), count_rows(server, "browser_flows")
    first, second = browser.sign_in(browser.get(url)), second_browser.sign_in(second_browser.get(url), "max")
    done = second_browser.submit(second)
    redirect = redirect_parameters(done)
    assert count_rows(server, "browser_flows") == flows, "what browsers did is forgotten"
    for late in (browser, second_browser):
        assert_error_page(late.get(url))
    assert_error_page(browser.submit(first))
    assert_error_page(second_browser.submit(second))
    assert_error_page(browser.submit(first, {"action": "refuse"}))
    assert count_rows(server, "authorization_codes") == codes + 1
    assert wallet.exchange(redirect["code"]).status_code == 200


@pytest.mark.rule("AZ-02", "C-05")
def test_a_browser_finishes_with_its_own_sign_in_only(
    wallet: RawWallet, browser: Browser, second_browser: Browser
) -> None:
    url = wallet.authorize_url(wallet.push())
    page = browser.get(url)
    second_browser.sign_in(second_browser.get(url))
    # That somebody signed in elsewhere opens nothing here.
    assert browser.get(url).text == page.text
    consent = browser.sign_in(page, "max")
    assert "Max" in consent.text
    assert "Erika" not in consent.text


# Parameters next to request_uri


@pytest.mark.rule("AZ-13", "C-07", "C-01")
def test_parameters_in_the_url_do_not_change_what_was_pushed(wallet: RawWallet, browser: Browser) -> None:
    url = wallet.authorize_url(
        wallet.push(),
        redirect_uri="https://evil.example/cb",
        scope="residence",
        state="evil",
        code_challenge="A" * 43,
        code_challenge_method="plain",
        response_type="token",
        response_mode="fragment",
        dpop_jkt="A" * 43,
        resource="https://evil.example",
        x_unknown="1",
    )
    page = browser.get(url)
    assert "evil.example" not in page.text + page.headers["content-security-policy"]
    done = browser.submit(browser.sign_in(page))
    assert done.headers["location"].startswith(f"{REDIRECT_URI}?")
    redirect = redirect_parameters(done)
    assert redirect["state"] == "st&te+1"
    answer = wallet.exchange(redirect["code"])
    assert (answer.status_code, answer.json().get("scope")) == (200, "pid")


# Back to the wallet


@pytest.mark.rule("AZ-07", "AZ-08", "AZ-10")
@pytest.mark.parametrize(
    ("redirect_uri", "state", "kept"),
    [
        (REDIRECT_URI, "a+b%20&c=d#e/ü\"<>' ", []),
        ("https://wallet.example/cb?x=1", "s", [("x", "1")]),
        ("https://wallet.example/cb", ABSENT, []),
        ("https://wallet.example/cb", "", []),
    ],
)
def test_the_redirect_carries_code_state_and_issuer(
    wallet: RawWallet, browser: Browser, redirect_uri: str, state: Any, kept: list[tuple[str, str]]
) -> None:
    url = wallet.authorize_url(wallet.push({"redirect_uri": redirect_uri, "state": state}))
    done = browser.walk(url)
    assert done.status_code == 303
    assert done.headers["location"].startswith(redirect_uri)
    (code_name, code), *rest = [
        pair for pair in parse_qsl(urlsplit(done.headers["location"]).query, keep_blank_values=True) if pair not in kept
    ]
    assert code_name == "code"
    assert rest == [*([("state", state)] if state not in (ABSENT, "") else []), ("iss", wallet.issuer)]
    assert wallet.exchange(code, {"redirect_uri": redirect_uri}).status_code == 200


@pytest.mark.rule("C-19", "AZ-08")
@pytest.mark.parametrize("slug", ["pid-provider", OTHER_SLUG])
@pytest.mark.parametrize("action", ["approve", "refuse"])
def test_each_tenant_names_itself_as_the_issuer(
    server: RunningServer, browser: Browser, slug: str, action: str
) -> None:
    with server.wallet(slug) as wallet:
        consent = browser.sign_in(browser.get(wallet.authorize_url(wallet.push())))
        redirect = redirect_parameters(browser.submit(consent, {"action": action}))
        metadata = browser.get(f"{wallet.issuer}/.well-known/oauth-authorization-server").json()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert redirect["iss"] == metadata["issuer"] == server.issuer(slug)
    assert ("code" in redirect, "error" in redirect) == (action == "approve", action == "refuse")


@pytest.mark.rule("AZ-09", "AZ-08", "AZ-10")
@pytest.mark.parametrize("signed_in", [False, True])
def test_refusing_takes_the_error_to_the_wallet_and_ends_the_request(
    server: RunningServer, wallet: RawWallet, browser: Browser, signed_in: bool
) -> None:
    codes = count_rows(server, "authorization_codes")
    url = wallet.authorize_url(wallet.push())
    page = browser.get(url)
    page = browser.sign_in(page) if signed_in else page
    flows = count_rows(server, "browser_flows")
    done = browser.submit(page, {"action": "refuse"})
    assert count_rows(server, "browser_flows") == flows - 1
    redirect = redirect_parameters(done)
    assert redirect.pop("error_description").isascii()
    assert redirect == {"error": "access_denied", "state": "st&te+1", "iss": wallet.issuer}
    assert_error_page(browser.get(url))
    assert_error_page(browser.submit(page))
    assert count_rows(server, "authorization_codes") == codes
    assert wallet.push().status_code == 201


# Methods, origins


@pytest.mark.rule("AZ-11")
def test_no_other_origin_may_read_the_pages(wallet: RawWallet, browser: Browser) -> None:
    url = wallet.authorize_url(wallet.push())
    origin = {"Origin": "https://evil.example"}
    preflight = {**origin, "Access-Control-Request-Method": "GET"}
    answers = [
        browser.http.get(url, headers=origin),
        browser.http.get(f"{wallet.issuer}/authorize", headers=origin),
        browser.http.options(url, headers=preflight),
        browser.http.options(f"{wallet.issuer}/authorize/answer", headers=preflight),
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "authorize"), ("PUT", "authorize"), ("DELETE", "authorize/answer"), ("GET", "authorize/answer")],
)
def test_other_methods_are_an_error_page(wallet: RawWallet, browser: Browser, method: str, path: str) -> None:
    answer = browser.http.request(method, f"{wallet.issuer}/{path}")
    assert_error_page(answer, 405)
    assert answer.headers["allow"]


def test_the_errors_of_the_pages_are_pages(wallet: RawWallet, browser: Browser) -> None:
    answer_url = f"{wallet.issuer}/authorize/answer"
    assert_error_page(browser.http.post(answer_url, json={"action": "approve"}), 415)
    assert_error_page(browser.http.post(answer_url, data={"x": "x" * 100_000}), 413)
    assert_error_page(browser.http.post(answer_url, data={"action": ["approve", "approve"]}))
    assert_error_page(browser.http.post(answer_url, data={"action": "approve"}))
