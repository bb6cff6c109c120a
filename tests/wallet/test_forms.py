from collections.abc import Mapping

import httpx2
import pytest

from app.wallet.errors import ServerRefused, WalletError, WalletRefused
from app.wallet.forms import Login, Page, PageDriver
from tests.wallet.fakes import ISSUER, FakeServer, Reply

REDIRECT_URI = "http://localhost:4711/callback"
ARRIVED = f"{REDIRECT_URI}?code=c&state=s"
ERIKA = Login("erika", "secret:1")
AUTHORIZE, ANSWER = "/pid-provider/authorize", "/pid-provider/authorize/answer"
SIGN_IN = """<h1>Sign in</h1><form method="post" action="authorize/answer">
  <input type="hidden" name="page" value="a&amp;b"><input name="username" autocomplete="username">
  <input type="password" name="password"><button>Sign in</button></form>"""
CONFIRM = """<h1>Confirm</h1>
  <form method="post" action="/pid-provider/authorize/answer"><input type="hidden" name="page" value="2">
  <button name="refuse" value="1">No</button><button type="submit" name="approve" value="yes">Yes</button></form>"""


def page(html: str, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, html=html, headers={"set-cookie": "sid=1; Path=/pid-provider; Secure; HttpOnly"})


def see(location: str) -> httpx2.Response:
    return httpx2.Response(303, headers={"location": location})


def drive(
    answers: Mapping[str, Reply | list[Reply]], issuer: str = ISSUER, login: Login | None = ERIKA
) -> tuple[str, FakeServer]:
    server = FakeServer(dict(answers))
    driver = PageDriver(server.http, REDIRECT_URI, login)
    return driver(f"{issuer}/authorize?client_id=demo-wallet&request_uri=x"), server


@pytest.mark.parametrize("issuer", [ISSUER, "http://localhost:8000/pid-provider"])
def test_signs_in_confirms_and_stops_at_the_redirect_uri(issuer: str) -> None:
    arrived, server = drive(
        {AUTHORIZE: [page(SIGN_IN), page(CONFIRM)], ANSWER: [see("../authorize?page=2"), see(ARRIVED)]}, issuer
    )
    assert arrived == ARRIVED
    assert [f"{request.method} {request.url.path}" for request in server.requests] == [
        f"GET {AUTHORIZE}",
        f"POST {ANSWER}",
        f"GET {AUTHORIZE}",
        f"POST {ANSWER}",
    ]
    assert server.form(1) == {"page": "a&b", "username": "erika", "password": "secret:1"}
    assert server.form(3) == {"page": "2", "approve": "yes"}
    assert server.requests[3].headers["origin"] == issuer.removesuffix("/pid-provider")
    assert server.requests[3].headers["cookie"] == "sid=1"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({AUTHORIZE: page(SIGN_IN), ANSWER: page(SIGN_IN)}, "login_failed"),
        ({AUTHORIZE: page("<h1>This link has expired</h1>", 400)}, "http_400"),
        ({AUTHORIZE: page("<h1>Scan this</h1>")}, "unknown_page"),
        ({AUTHORIZE: see("https://evil.example/login")}, "foreign_page"),
        ({AUTHORIZE: page(SIGN_IN.replace("authorize/answer", "https://evil.example/"))}, "foreign_page"),
        ({AUTHORIZE: see(AUTHORIZE)}, "no_way_back"),
    ],
)
def test_gives_up(answers: dict[str, Reply | list[Reply]], code: str) -> None:
    with pytest.raises(WalletError) as failed:
        drive(answers)
    assert failed.value.code == code


def test_the_pages_own_words_are_reported() -> None:
    with pytest.raises(ServerRefused, match="This link has expired"):
        drive({AUTHORIZE: page("<h1>This <em>link</em> has expired</h1>", 400)})
    wrong = page(f'<p role="alert">Wrong <b>password</b>.</p>{SIGN_IN}', 400)
    with pytest.raises(ServerRefused, match="Wrong password"):
        drive({AUTHORIZE: page(SIGN_IN), ANSWER: wrong})


def test_buttons_of_one_name_differ_by_value() -> None:
    buttons = '<button name="action" value="refuse">No</button><button name="action" value="continue">Yes</button>'
    confirm = page(f'<form method="post" action="{ANSWER}">{buttons}</form>')
    _, server = drive({AUTHORIZE: confirm, ANSWER: see(ARRIVED)})
    assert server.form(1) == {"action": "continue"}


def test_reads_controls_as_a_browser_sends_them() -> None:
    form = Page(
        '<input name="outside"><form method="POST"><input type="checkbox" name="a" checked>'
        '<input type="checkbox" name="b"><input type="radio" name="c" value="1"><input name="d" disabled value="x">'
        '<input type="radio" name="c" value="2" checked><button type="button" name="e">x</button></form>'
    ).forms[0]
    assert form.fields == {"a": "on", "c": "2"}
    assert form.buttons == []


def test_agrees_without_a_password_and_tells_of_pages_that_want_one() -> None:
    arrived, server = drive({AUTHORIZE: page(CONFIRM), ANSWER: see(ARRIVED)}, login=None)
    assert arrived == ARRIVED
    assert server.form(1) == {"page": "2", "approve": "yes"}
    with pytest.raises(WalletRefused, match="login_needed"):
        drive({AUTHORIZE: page(SIGN_IN)}, login=None)


def test_signs_in_once_for_each_visit() -> None:
    visit = [page(SIGN_IN), page(CONFIRM)]
    server = FakeServer({AUTHORIZE: [*visit, *visit], ANSWER: [see(AUTHORIZE), see(ARRIVED)] * 2})
    driver = PageDriver(server.http, REDIRECT_URI, ERIKA)
    assert [driver(f"{ISSUER}/authorize?request_uri={name}") for name in "ab"] == [ARRIVED] * 2
