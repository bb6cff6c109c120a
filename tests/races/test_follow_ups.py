"""Several follow-ups with one handle at once: one is accepted, on both databases, on PostgreSQL by two processes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select

from app.adapters.db.tables import authorization_codes
from tests.races.at_once import at_once
from tests.support.campus import academy
from tests.support.database import KINDS
from tests.support.fakes import RunningClock
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.presented import PID_ISSUER
from tests.support.raw_wallet import error_of
from tests.support.served import query, serving
from tests.support.server import RunningServer, free_port, serving_process

pytestmark = pytest.mark.slow

Campus = tuple[RunningServer, list[str]]

STRICT = "strict-academy"
"""Repeats no answer, so that of the same octets, too, one is accepted."""


@pytest.fixture(scope="module", params=KINDS)
def academy_origins(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    """A service with two academies, and the origins of its processes."""
    strict = academy(STRICT, {"interactive": {"repeat_lost_answers": False}})
    folder: Path = tmp_path_factory.mktemp("races")
    with ExitStack() as stack:
        server = stack.enter_context(serving(request, request.param, folder, academy(), strict, clock=RunningClock()))
        found = [server.url]
        if request.param == "postgresql":
            found.append(stack.enter_context(serving_process(server.settings, port=free_port()))[0])
        yield server, found


@contextmanager
def racing(campus: Campus, count: int, slug: str = "academy") -> Iterator[list[InteractiveWallet]]:
    """Wallets that share one key, spread over the processes, each with a nonce at hand."""
    server, origins = campus
    with interactive_wallet(server, slug) as first:
        wallets = [replace(first, sent_to=origins[index % len(origins)], nonces={}) for index in range(count)]
    with ExitStack() as stack:
        for wallet in wallets:
            stack.enter_context(wallet)
            assert wallet.begin().status_code == 200
        yield wallets


def codes_of(server: RunningServer) -> int:
    [(count,)] = query(server, select(func.count()).select_from(authorization_codes))
    return int(count)


def accepted(answers: list[httpx2.Response]) -> list[httpx2.Response]:
    """The answers that are no refusal; the others are the session error."""
    taken = [answer for answer in answers if answer.status_code == 200]
    assert {error_of(answer) for answer in answers if answer not in taken} <= {(400, "invalid_request")}
    return taken


def race(campus: Campus, slug: str, *, count: int, rounds: int, same_octets: bool) -> list[list[httpx2.Response]]:
    """Send as many follow-ups with one handle at once; return what was accepted, round by round."""
    server, _ = campus
    won: list[list[httpx2.Response]] = []
    with racing(campus, count, slug) as wallets, ThreadPoolExecutor(count) as pool:
        pid = PID_ISSUER.issue(holder=wallets[0].holder.private).text
        for _ in range(rounds):
            before = codes_of(server)
            asked = wallets[0].begin()
            shown = [wallets[0].present(asked, pid)] * count
            if not same_octets:
                shown = [wallets[0].present(asked, pid) for _ in wallets]
            responses = [json.dumps({"vp_token": {"pid": [one]}}) for one in shown]
            calls = [partial(wallet.send, asked, text) for wallet, text in zip(wallets, responses, strict=True)]
            won.append(accepted(at_once(pool, calls)))
            assert codes_of(server) == before + 1
            assert wallets[0].exchange(won[-1][0].json()["code"]).status_code == 200
    return won


@pytest.mark.rule("B-02", "IA-45", "IA-44")
@pytest.mark.parametrize("count", [2, 3, 50])
def test_of_identical_follow_ups_one_is_accepted(academy_origins: Campus, count: int) -> None:
    won = race(academy_origins, STRICT, count=count, rounds=100, same_octets=True)
    assert [len(answers) for answers in won] == [1] * 100


@pytest.mark.rule("B-02", "IA-45", "IA-44")
@pytest.mark.parametrize(("count", "rounds"), [(2, 50), (50, 10)])
def test_of_different_presentations_one_is_accepted(academy_origins: Campus, count: int, rounds: int) -> None:
    won = race(academy_origins, "academy", count=count, rounds=rounds, same_octets=False)
    assert [len(answers) for answers in won] == [1] * rounds


@pytest.mark.rule("B-02", "B-01")
@pytest.mark.parametrize(("count", "rounds"), [(2, 50), (50, 10)])
def test_where_lost_answers_are_repeated_a_second_is_told_the_same_code(
    academy_origins: Campus, count: int, rounds: int
) -> None:
    """One of the others may come so late that it looks like a repetition: it is answered as one, once."""
    won = race(academy_origins, "academy", count=count, rounds=rounds, same_octets=True)
    assert all(1 <= len(answers) <= 2 for answers in won)
    assert all(len({answer.content for answer in answers}) == 1 for answers in won)


@pytest.mark.rule("B-02", "IA-45")
def test_a_right_and_a_wrong_presentation_at_once(academy_origins: Campus) -> None:
    server, _ = academy_origins
    with racing(academy_origins, 8) as wallets, ThreadPoolExecutor(8) as pool:
        pid = PID_ISSUER.issue(holder=wallets[0].holder.private).text
        for _ in range(20):
            before = codes_of(server)
            asked = wallets[0].begin()
            right, wrong = (wallets[0].present(asked, pid, key=key) for key in (None, wallets[0].key))
            texts = [json.dumps({"vp_token": {"pid": [right if n % 2 else wrong]}}) for n in range(8)]
            calls = [partial(wallet.send, asked, text) for wallet, text in zip(wallets, texts, strict=True)]
            answers = at_once(pool, calls)
            won = [answer for answer in answers if error_of(answer) != (400, "invalid_request")]
            # Whoever came first was judged, and was the only one (or told again, being the same octets).
            assert {error_of(answer) for answer in won} in ({(200, None)}, {(400, "access_denied")})
            assert codes_of(server) == before + (won[0].status_code == 200)
            assert error_of(wallets[0].show(asked, pid)) == (400, "invalid_request")


@pytest.mark.rule("B-02")
def test_of_many_returns_from_the_browser_one_goes_on(academy_origins: Campus) -> None:
    with racing(academy_origins, 10) as wallets, ThreadPoolExecutor(10) as pool:
        first = wallets[0]
        pid = PID_ISSUER.issue(holder=first.holder.private).text
        for _ in range(5):
            first.scope = "alumni-card"
            handle = first.agree(first.show(first.begin(), pid))["auth_session"]
            verifier = {"code_verifier": first.verifier, "x": "1"}
            calls = [partial(wallet.follow_up, handle, {**verifier, "n": str(n)}) for n, wallet in enumerate(wallets)]
            [taken] = accepted(at_once(pool, calls))
            assert first.show(taken, pid).status_code == 200
