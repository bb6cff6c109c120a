"""What the tests of the interactive endpoint say about its answers, and about a session after them."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.http.refusals import assert_oauth_refused
from tests.http.state import count_rows
from tests.http.told import told
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.raw_wallet import error_of
from tests.support.server import RunningServer


def _accepted(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "dpop-nonce" in answer.headers
    body: dict[str, Any] = answer.json()
    return body


def _assert_asks(answer: httpx2.Response, kind: str, *members: str) -> dict[str, Any]:
    body = _accepted(answer)
    assert body.keys() == {"status", "type", "auth_session", *members}
    assert (body["status"], body["type"]) == ("require_interaction", kind)
    return body


def assert_asks_for_presentation(wallet: InteractiveWallet, answer: httpx2.Response) -> dict[str, Any]:
    """The wallet is to present; return the request."""
    body = _assert_asks(answer, wallet.presentation_type, "openid4vp_request")
    request: dict[str, Any] = body["openid4vp_request"]
    return request


def assert_asks_for_browser(wallet: InteractiveWallet, answer: httpx2.Response) -> str:
    """The wallet is to send a browser; return the `request_uri`."""
    body = _assert_asks(answer, wallet.web_type, "request_uri", "expires_in")
    assert body["expires_in"] == 60
    request_uri: str = body["request_uri"]
    return request_uri


def assert_code(answer: httpx2.Response) -> str:
    """The session is complete; return the code."""
    body = _accepted(answer)
    assert body.keys() == {"status", "code"}
    assert body["status"] == "ok"
    code: str = body["code"]
    return code


def assert_session_error(wallet: InteractiveWallet, answer: httpx2.Response) -> None:
    """The handle is nobody's, as far as the answer tells (IA-47)."""
    assert_oauth_refused(answer, 400, "invalid_request")
    assert told(answer) == told(wallet.follow_up(secrets.token_urlsafe(32)))


def assert_denied(answer: httpx2.Response) -> None:
    """What was presented does not hold; the answer does not say why."""
    assert_oauth_refused(answer, 400, "access_denied")


def assert_live(wallet: InteractiveWallet, asked: httpx2.Response, credential: str) -> httpx2.Response:
    """The rightful presentation still succeeds; return its answer."""
    answer = wallet.show(asked, credential)
    assert answer.status_code == 200, answer.text
    return answer


def assert_dead(wallet: InteractiveWallet, asked: httpx2.Response, credential: str) -> None:
    """Even the rightful presentation is too late."""
    assert_session_error(wallet, wallet.show(asked, credential))


@contextmanager
def no_code(server: RunningServer) -> Iterator[None]:
    """Assert that the block mints no code."""
    before = count_rows(server, "authorization_codes")
    yield
    assert count_rows(server, "authorization_codes") == before


def assert_kept_by(
    server: RunningServer,
    wallet: InteractiveWallet,
    person: Person,
    attack: Callable[[httpx2.Response], httpx2.Response],
    refusal: tuple[int, str],
) -> None:
    """A follow-up is refused and the session is as it was: its owner goes on."""
    asked = wallet.begin()
    with no_code(server):
        answer = attack(asked)
    assert_oauth_refused(answer, *refusal)
    assert_live(wallet, asked, person.pid)


def assert_killed_by(
    server: RunningServer,
    wallet: InteractiveWallet,
    person: Person,
    attack: Callable[[httpx2.Response], httpx2.Response],
) -> None:
    """A presentation is refused as one that does not hold, and the session is over for its owner too."""
    asked = wallet.begin()
    with no_code(server):
        answer = attack(asked)
        assert_denied(answer)
        assert_dead(wallet, asked, person.pid)
    assert error_of(answer) == (400, "access_denied")
