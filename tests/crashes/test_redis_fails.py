"""Redis is emptied, restarted, stopped or hangs in the middle of journeys: they end well, and nothing re-opens."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial

import httpx2
import pytest

from tests.crashes.pair import Pair, Route
from tests.crashes.stage import half_done
from tests.crashes.walks import GAPS, REQUESTS, answers, personal_id, processes, walk_all, walks, wallet_by
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.raw_wallet import Browser, error_of, redirect_parameters
from tests.support.redis import WAYS_TO_FAIL, flush, keys

pytestmark = [pytest.mark.crash, pytest.mark.postgres, pytest.mark.redis]

SESSION_ERROR = (400, "invalid_request")

Again = Callable[[], httpx2.Response]


@pytest.fixture
def route(pair: Pair) -> Route:
    return Route(pair)


@pytest.fixture
def wallet(route: Route, pair: Pair) -> Iterator[InteractiveWallet]:
    with wallet_by(route, pair, scope="alumni-card") as wallet:
        yield wallet


@pytest.mark.rule("N-02")
@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_journeys_go_on(pair: Pair, way: str) -> None:
    """At each of the gaps stand some, half of them begun at either process."""
    all_of = walks(GAPS, firsts=lambda gap: [gap % 2])
    for one, route in walk_all(pair, all_of, lambda: pair.redis.fail(way)).items():
        assert answers(route) == REQUESTS[one.scope]
        assert processes(route) == [(one.first + number) % 2 for number in range(len(route.sent))]
        # Slower at most: one request at a time waits for Redis, and not for long.
        assert max(sent.seconds for sent in route.sent) < 5
    assert half_done(pair.server) == []


@pytest.mark.rule("N-02", "D-01", "L-01")
@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_nothing_re_opens(pair: Pair, route: Route, wallet: InteractiveWallet, way: str) -> None:
    with ExitStack() as stack:
        spent = spend_everything(wallet, stack.enter_context(closing(Browser(transport=route))))
        pair.redis.fail(way)
        for what, (again, refusal) in spent.items():
            for route.only in (0, 1):
                assert error_of(again()) == refusal, what


def spend_everything(wallet: InteractiveWallet, browser: Browser) -> dict[str, tuple[Again, tuple[int, str | None]]]:
    """Walk to the credential; return how each thing that was used is used again, and what that is answered."""
    pid = personal_id(wallet)
    wallet.begin()
    interactive, token_endpoint, credential_endpoint = (
        f"{wallet.issuer}/{at}" for at in ("interactive", "token", "credential")
    )

    begun = wallet.dpop("POST", interactive, nonce=wallet.nonces["as"])
    asked = wallet.begin(dpop=begun)
    shown = wallet.present(asked, pid)
    answered = wallet.respond(asked, shown)
    page = browser.get(wallet.web_url(answered))
    handle = redirect_parameters(browser.submit(page))["auth_session"]
    returned = {"code_verifier": wallet.verifier}
    asked_again = wallet.follow_up(handle, returned)
    code = wallet.show(asked_again, pid).json()["code"]
    redeemed = wallet.dpop("POST", token_endpoint, nonce=wallet.nonces["as"])
    token = wallet.exchange(code, dpop=redeemed).json()["access_token"]
    proofs = {"credential_configuration_id": wallet.scope, "proofs": {"jwt": [wallet.key_proof(wallet.c_nonce())]}}
    used = wallet.dpop("POST", credential_endpoint, nonce=wallet.nonces["resource"], access_token=token)
    assert wallet.credential(token, proofs, dpop=used).status_code == 200

    return {
        "the proof of the start": (partial(wallet.begin, dpop=begun), (400, "invalid_dpop_proof")),
        "the first handle": (lambda: wallet.show(asked, pid), SESSION_ERROR),
        "the first presentation": (partial(wallet.respond, asked, shown), SESSION_ERROR),
        "that presentation in another session": (lambda: wallet.respond(wallet.begin(), shown), (400, "access_denied")),
        "the page": (partial(browser.submit, page), (400, None)),
        "the page's address": (partial(browser.get, wallet.web_url(answered)), (400, None)),
        "the handle from the browser": (partial(wallet.follow_up, handle, returned), SESSION_ERROR),
        "the last handle": (lambda: wallet.show(asked_again, pid), SESSION_ERROR),
        "the proof at the credential endpoint": (
            partial(wallet.credential, token, proofs, dpop=used),
            (401, "invalid_dpop_proof"),
        ),
        "the c_nonce": (partial(wallet.credential, token, proofs), (400, "invalid_nonce")),
        "the proof at the token endpoint": (
            partial(wallet.exchange, code, dpop=redeemed),
            (400, "invalid_dpop_proof"),
        ),
        # The last one: it revokes the token.
        "the code": (partial(wallet.exchange, code), (400, "invalid_grant")),
        "the token": (partial(wallet.derived, token), (401, "invalid_token")),
    }


@pytest.mark.rule("N-02", "IA-48")
@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_each_process_keeps_its_own_limit(pair: Pair, route: Route, wallet: InteractiveWallet, way: str) -> None:
    """Ten tries with one handle in a minute: of both processes together, or of each while Redis knows of none."""

    def tries(process: int, count: int, handle: str) -> list[int]:
        route.only = process
        return [wallet.follow_up(handle).status_code for _ in range(count)]

    wallet.begin()
    wait_until_they_count_together(pair, route, wallet)
    one, other = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    assert tries(0, 10, one) == [400] * 10
    assert tries(1, 2, one) == [429] * 2
    pair.redis.fail(way)
    assert tries(0, 2, one) == [429] * 2
    assert tries(1, 12, one) == [400] * 10 + [429] * 2
    pair.redis.recover()
    wait_until_they_count_together(pair, route, wallet)
    assert tries(0, 5, other) + tries(1, 5, other) == [400] * 10
    assert tries(0, 2, other) + tries(1, 2, other) == [429] * 4


def wait_until_they_count_together(pair: Pair, route: Route, wallet: InteractiveWallet) -> None:
    """A process that got no answer from Redis lets it rest for a moment."""
    deadline = time.monotonic() + 10
    for route.only in (0, 1):
        flush(pair.redis.url)
        while not keys(pair.redis.url):
            assert time.monotonic() < deadline, "Redis is not asked again"
            wallet.follow_up(secrets.token_urlsafe(32))
            time.sleep(0.05)
