"""The pages over HTTP: what they show and to whom, and what protects them.

This module's tests put back what they change of the tenant.
"""

import html
import json
import re
from typing import Any
from urllib.parse import urljoin

import httpx2
import msgspec
import pytest

from app.settings import ServerSettings
from tests.http.pages import asks_to_sign_in
from tests.http.state import changed, count_rows
from tests.support.documents import PID, document
from tests.support.raw_wallet import ABSENT, USERNAME, Browser, RawWallet, redirect_parameters
from tests.support.server import RunningServer, free_port, running_server

VALUES = ["Erika", "Mustermann", "1964-08-12", "Köln"]


@pytest.fixture
def page(wallet: RawWallet, browser: Browser) -> httpx2.Response:
    """The sign-in page of a fresh request."""
    return browser.get(wallet.authorize_url(wallet.push()))


def hidden(page: httpx2.Response) -> dict[str, str]:
    """Return the hidden fields of a page's form."""
    return dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text))


def post(browser: Browser, page: httpx2.Response, fields: dict[str, Any]) -> httpx2.Response:
    """Post to a page's form what is given, and nothing else; follow nothing."""
    [action] = re.findall(r'<form[^>]* action="([^"]*)"', page.text)
    return browser.http.post(urljoin(str(page.url), action), data=fields)


def shown(page: httpx2.Response) -> str:
    """Return the text of a page as a person reads it."""
    return html.unescape(re.sub(r"<[^>]*>", " ", page.text))


# What is shown, and to whom


@pytest.mark.rule("AZ-27", "CIM-31", "AZ-24")
def test_consent_names_issuer_wallet_and_every_claim_of_every_credential(wallet: RawWallet, browser: Browser) -> None:
    residence = json.dumps([{"type": "openid_credential", "credential_configuration_id": "residence"}])
    pushed = wallet.push({"scope": "pid", "authorization_details": residence})
    consent = shown(browser.sign_in(browser.get(wallet.authorize_url(pushed))))
    for text in ("PID Provider", "Demo Wallet", "Personal ID", "Proof of residence"):
        assert text in consent
    for claim in ("given name", "family name", "birthdate", "locality", "issuing country"):
        assert claim in consent.lower()


@pytest.mark.rule("CIM-31")
@pytest.mark.parametrize("show_values", [True, False])
def test_values_are_shown_by_the_tenants_leave_to_the_person_who_signed_in(
    server: RunningServer, wallet: RawWallet, browser: Browser, second_browser: Browser, show_values: bool
) -> None:
    steps = [{"type": "login", "id": "login"}, {"type": "confirm", "id": "confirm", "show_values": show_values}]
    with changed(server, {"sequences": {"login-and-confirm": {"steps": steps}}}):
        url = wallet.authorize_url(wallet.push())
        page = browser.get(url)
        consent = browser.sign_in(page)
        elsewhere = second_browser.get(url)
    assert [value for value in VALUES if value in consent.text] == (VALUES if show_values else [])
    for before in (page, elsewhere):
        assert not [value for value in VALUES if value in before.text]


def test_nobodys_values_are_shown_before_sign_in(server: RunningServer, wallet: RawWallet, browser: Browser) -> None:
    steps = [{"type": "confirm", "id": "confirm", "show_values": True}, {"type": "login", "id": "login"}]
    with changed(server, {"sequences": {"login-and-confirm": {"steps": steps}}}):
        consent = browser.get(wallet.authorize_url(wallet.push()))
    assert "Given name" in consent.text
    assert not [value for value in VALUES if value in consent.text]


def test_a_wallet_nobody_registered_is_called_by_its_host(
    server: RunningServer, wallet: RawWallet, browser: Browser
) -> None:
    with changed(server, {"clients": {"unknown_public": {"redirect_uris": ["https://anybody.example/cb"]}}}):
        wallet.client_id, wallet.redirect_uri = "nobody", "https://anybody.example/cb"
        page = browser.get(wallet.authorize_url(wallet.push()))
        consent = browser.sign_in(page)
    assert "anybody.example" in shown(consent)
    assert "form-action 'self' https://anybody.example" in consent.headers["content-security-policy"]


@pytest.mark.parametrize("demo", [True, False])
def test_passwords_are_hinted_at_in_demo_mode_only(server: RunningServer, browser: Browser, demo: bool) -> None:
    """A document that was applied in demo mode may be in a database that is served without it."""
    port = free_port()
    settings = msgspec.structs.replace(
        server.settings,
        public_url=f"http://localhost:{port}",
        server=ServerSettings(port=port, graceful_shutdown=2),
        demo=demo,
    )
    with (
        changed(server, {"users": [{**PID["users"][0], "demo_hint": "erika / correct horse"}]}),
        running_server(settings, [], clock=server.clock) as other,
        other.wallet() as wallet,
    ):
        page = browser.get(wallet.authorize_url(wallet.push()))
        assert page.status_code == 200
        assert ("erika / correct horse" in page.text) == demo


def test_a_wallet_on_an_ipv6_loopback_can_be_redirected_to(
    server: RunningServer, wallet: RawWallet, browser: Browser
) -> None:
    """No policy can name such a host: Chromium ignores the source and keeps the browser from the wallet."""
    wallet.redirect_uri = "http://[::1]:9555/callback"
    with changed(
        server,
        {"clients": {"registered": [{**PID["clients"]["registered"][0], "redirect_uris": ["http://[::1]/callback"]}]}},
    ):
        page = browser.get(wallet.authorize_url(wallet.push()))
    assert page.headers["content-security-policy"].endswith("form-action 'self' http:")


def test_every_text_is_escaped(server: RunningServer, wallet: RawWallet, browser: Browser) -> None:
    def evil(name: str) -> str:
        return f"</title></p>\"'><script>alert('{name}')</script>&amp;{{{{ 7*7 }}}}"

    texts = {name: evil(name) for name in ("tenant", "wallet", "credential", "claim", "step", "text", "value")}
    changes = {
        "tenant": {"display": [{"name": texts["tenant"], "locale": "en"}]},
        "clients": {"registered": [{**PID["clients"]["registered"][0], "name": texts["wallet"]}]},
        "credentials": {
            "pid": {
                "display": [{"name": texts["credential"]}],
                "claims": [
                    {"path": ["given_name"], "source": {"from": "user"}, "display": [{"name": texts["claim"]}]},
                    {"path": ["c"], "source": {"from": "constant", "value": {texts["claim"]: [texts["value"]]}}},
                ],
            }
        },
        "sequences": {
            "login-and-confirm": {
                "steps": [
                    {"type": "login", "id": "login", "title": texts["step"], "text": texts["text"]},
                    {
                        "type": "confirm",
                        "id": "confirm",
                        "title": texts["step"],
                        "text": texts["text"],
                        "show_values": True,
                    },
                ]
            }
        },
    }
    with changed(server, document(changes)):
        page = browser.get(wallet.authorize_url(wallet.push({"state": evil("state")})))
        failed = browser.submit(page, {"username": evil("user"), "password": evil("password")})
        consent = browser.sign_in(page)
    for one in (page, failed, consent):
        assert "<script" not in one.text
        assert "</title></p>" not in one.text
        assert "alert('state')" not in html.unescape(one.text)
        assert "alert('user')" not in html.unescape(one.text)
    for text in texts.values():
        assert text in html.unescape(consent.text)


# What protects the pages


@pytest.mark.rule("C-20")
def test_pages_cannot_be_framed_scripted_cached_or_posted_elsewhere(
    wallet: RawWallet, browser: Browser, page: httpx2.Response
) -> None:
    consent = browser.sign_in(page)
    failed = browser.submit(browser.get(wallet.authorize_url(wallet.push())), {"username": "nobody"})
    error = browser.get(f"{wallet.issuer}/authorize")
    assert [one.status_code for one in (page, consent, failed, error)] == [200, 200, 400, 400]
    for one in (page, consent, failed, error):
        policy = dict(part.strip().split(" ", 1) for part in one.headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "img-src": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
            "form-action": "'none'" if one is error else "'self' http://localhost:9555",
        }
        assert one.headers["x-frame-options"] == "DENY"
        assert one.headers["referrer-policy"] == "no-referrer"
        assert one.headers["cache-control"] == "no-store"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["content-type"] == "text/html; charset=utf-8"
        assert not re.search(r"<script|<style|\son[a-z]+=|\sstyle=|https?://(?!localhost)", one.text)
    for path in re.findall(r'<link rel="[^"]*"[^>]* href="([^"]*)"', page.text):
        assert browser.get(urljoin(str(page.url), path)).status_code == 200


def test_the_redirect_to_the_wallet_leaks_no_referrer_and_is_not_stored(
    browser: Browser, page: httpx2.Response
) -> None:
    done = browser.submit(browser.sign_in(page))
    assert done.status_code == 303
    assert done.headers["referrer-policy"] == "no-referrer"
    assert done.headers["cache-control"] == "no-store"
    [cookie] = done.headers.get_list("set-cookie")
    assert "Max-Age=0" in cookie


def attributes(answer: httpx2.Response) -> tuple[str, str, set[str]]:
    """Return name, value and attributes (lower case) of the one cookie an answer sets."""
    [cookie] = answer.headers.get_list("set-cookie")
    pair, *rest = cookie.split("; ")
    name, _, value = pair.partition("=")
    return name, value, {attribute.lower() for attribute in rest}


@pytest.mark.rule("C-28")
def test_the_cookie_is_opaque_and_of_this_flow_alone(wallet: RawWallet, browser: Browser) -> None:
    first, second = (browser.get(wallet.authorize_url(wallet.push())) for _ in range(2))
    for answer in (first, second):
        name, value, rest = attributes(answer)
        assert re.fullmatch(r"vestibule-[A-Za-z0-9_-]{16}", name)
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", value)
        assert rest == {"httponly", "path=/", "samesite=lax"}
        assert value not in answer.text
    assert attributes(first)[0] != attributes(second)[0]
    # Both flows go on side by side in one browser.
    for answer in (first, second):
        assert "code" in redirect_parameters(browser.submit(browser.sign_in(answer)))
    assert not browser.http.cookies


@pytest.mark.rule("C-28")
def test_over_https_the_cookie_is_secure_and_pinned_to_the_host(server: RunningServer) -> None:
    """As behind a proxy that ends TLS: the public URL is https, the connection is not."""
    port = free_port()
    settings = msgspec.structs.replace(
        server.settings,
        public_url=f"https://localhost:{port}",
        server=ServerSettings(port=port, trusted_proxies=("127.0.0.1",), graceful_shutdown=2),
    )
    with running_server(settings, [], clock=server.clock), server.wallet() as wallet:
        plain = f"http://localhost:{port}/pid-provider"
        pushed = wallet.http.post(f"{plain}/par", data=wallet.push_form())
        answer = wallet.http.get(wallet.authorize_url(pushed).replace(wallet.issuer, plain))
    name, _, rest = attributes(answer)
    assert re.fullmatch(r"__Host-vestibule-[A-Za-z0-9_-]{16}", name)
    assert rest == {"httponly", "path=/", "samesite=lax", "secure"}


@pytest.mark.rule("C-28")
def test_pages_carry_nothing_of_the_request_but_its_handle(wallet: RawWallet, browser: Browser) -> None:
    pushed = wallet.push({"state": "canary-state", "scope": "pid unknown-canary"})
    page = browser.get(wallet.authorize_url(pushed))
    for one in (page, browser.sign_in(page)):
        fields = hidden(one)
        assert set(fields) == {"request_uri", "form_token", "step"}
        assert fields["request_uri"] == pushed.json()["request_uri"]
        for secret in ("canary", wallet.redirect_uri, wallet.push_form()["code_challenge"], wallet.key.thumbprint):
            assert secret not in one.text + str(one.headers)


@pytest.mark.rule("C-28", "C-20")
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"form_token": ABSENT}, 403),
        ({"form_token": ""}, 403),
        ({"form_token": "A" * 43}, 403),
        ({"form_token": "ü"}, 403),
        ({"request_uri": ABSENT}, 400),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:" + "A" * 43}, 400),
        ({"request_uri": "https://evil.example"}, 400),
    ],
)
def test_a_tampered_form_is_refused_and_changes_nothing(
    browser: Browser, page: httpx2.Response, changes: dict[str, Any], status: int
) -> None:
    consent = browser.sign_in(page)
    for action in ("approve", "refuse"):
        answer = browser.submit(consent, {**changes, "action": action})
        assert answer.status_code == status
        assert "location" not in answer.headers
        assert "form-action 'none'" in answer.headers["content-security-policy"]
    assert "code" in redirect_parameters(browser.submit(consent))


@pytest.mark.rule("C-20")
def test_no_other_browser_and_no_other_site_can_send_a_page(
    wallet: RawWallet, browser: Browser, second_browser: Browser, page: httpx2.Response
) -> None:
    consent = browser.sign_in(page)
    # No cookie at all, then a cookie of another flow of the same request.
    assert second_browser.submit(consent).status_code == 403
    theirs = second_browser.get(str(page.url))
    assert second_browser.submit(consent).status_code == 403
    # With a token of their own they are only shown where they themselves are.
    own = second_browser.submit(consent, {"form_token": hidden(theirs)["form_token"]})
    assert (own.status_code, own.text) == (200, theirs.text)
    # The token of another request of the same browser.
    other = browser.get(wallet.authorize_url(wallet.push()))
    assert browser.submit(consent, {"form_token": hidden(other)["form_token"]}).status_code == 403
    assert "code" in redirect_parameters(browser.submit(consent))


@pytest.mark.rule("C-20")
def test_a_consent_is_good_once(server: RunningServer, browser: Browser, page: httpx2.Response) -> None:
    consent = browser.sign_in(page)
    browser.submit(consent)
    codes = count_rows(server, "authorization_codes")
    replayed = browser.submit(consent)
    assert replayed.status_code == 400
    assert "location" not in replayed.headers
    assert count_rows(server, "authorization_codes") == codes


@pytest.mark.rule("C-28", "AZ-02")
def test_no_step_is_skipped_by_naming_the_next(server: RunningServer, browser: Browser, page: httpx2.Response) -> None:
    codes = count_rows(server, "authorization_codes")
    noise = {"user_id": "x", "username": USERNAME, "step_index": "1", "results": "{}"}
    for step in ("confirm", "", "unknown", ABSENT):
        answer = browser.submit(page, {"step": step, **noise})
        assert answer.status_code == 200
        assert asks_to_sign_in(answer)
    assert count_rows(server, "authorization_codes") == codes


def test_a_page_sent_twice_leads_on_to_where_the_browser_is(browser: Browser, page: httpx2.Response) -> None:
    consent = browser.sign_in(page)
    assert browser.sign_in(page, password="wrong").text == consent.text
    assert "code" in redirect_parameters(browser.submit(consent))


@pytest.mark.rule("C-20", "C-28")
def test_a_cookie_chosen_by_somebody_else_is_not_taken_over(
    wallet: RawWallet, browser: Browser, second_browser: Browser, page: httpx2.Response
) -> None:
    browser.sign_in(page)
    [signed_in] = browser.http.cookies.jar
    url = wallet.authorize_url(wallet.push())
    name, _, _ = attributes(second_browser.get(url))
    for planted in ("A" * 43, str(signed_in.value), "ü", ""):
        answer = httpx2.get(url, headers={b"Cookie": f"{name}={planted}".encode()})
        assert asks_to_sign_in(answer)
        assert attributes(answer)[1] != planted


@pytest.mark.rule("C-20", "C-28")
def test_a_sign_in_for_one_request_does_not_confirm_another(
    server: RunningServer, wallet: RawWallet, browser: Browser, second_browser: Browser, page: httpx2.Response
) -> None:
    consent = browser.sign_in(page)
    [signed_in] = browser.http.cookies.jar
    other = second_browser.get(wallet.authorize_url(wallet.push()))
    codes = count_rows(server, "authorization_codes")
    # The signed-in cookie under the other request's cookie name, with the form token that goes with it.
    forged = {**hidden(consent), "request_uri": hidden(other)["request_uri"], "action": "approve"}
    cookie = f"{attributes(other)[0]}={signed_in.value}"
    answer = httpx2.post(f"{wallet.issuer}/authorize/answer", data=forged, headers={"Cookie": cookie})
    assert answer.status_code == 403
    assert "location" not in answer.headers
    assert count_rows(server, "authorization_codes") == codes
    assert "code" in redirect_parameters(browser.submit(consent))


def test_no_login_outlives_its_request(wallet: RawWallet, browser: Browser, page: httpx2.Response) -> None:
    browser.submit(browser.sign_in(page))
    again = browser.get(wallet.authorize_url(wallet.push()))
    assert asks_to_sign_in(again)
