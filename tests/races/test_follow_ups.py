"""Several follow-ups with one handle at once: one is accepted, on both databases, on PostgreSQL by two processes."""

import json
from functools import partial

import httpx2
import pytest

from tests.races.at_once import MANY, together
from tests.races.conftest import STRICT, Origins
from tests.races.outcome import changing
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.presented import PID_ISSUER
from tests.support.raw_wallet import error_of, unsent

pytestmark = pytest.mark.race

CODE_ISSUED = {"session pending": -1, "session code_issued": 1, "authorization_codes": 1, "spent dpop_jti": 1}
CODE_TOLD = {"told of presentation_accepted": 1, "told of code_issued": 1}


def answering(wallet: InteractiveWallet, asked: httpx2.Response, vp_token: str | None) -> httpx2.Request:
    """Return the follow-up that presents, or that says the wallet will not."""
    response = {"error": "access_denied"} if vp_token is None else {"vp_token": {"pid": [vp_token]}}
    return unsent(wallet, partial(wallet.send, asked, json.dumps(response)))


def accepted(answers: list[httpx2.Response]) -> list[httpx2.Response]:
    """The answers that are no refusal; the others are the session error."""
    taken = [answer for answer in answers if answer.status_code == 200]
    assert {error_of(answer) for answer in answers if answer not in taken} <= {(400, "invalid_request")}
    return taken


def race(origins: Origins, slug: str, *, count: int, rounds: int, same_octets: bool) -> list[list[httpx2.Response]]:
    """Send as many follow-ups with one handle at once; return what was accepted, round by round."""
    server, addresses = origins
    won: list[list[httpx2.Response]] = []
    with interactive_wallet(server, slug) as wallet:
        pid = PID_ISSUER.issue(holder=wallet.holder.private).text
        for _ in range(rounds):
            asked = wallet.begin()
            shown = [wallet.present(asked, pid) for _ in range(1 if same_octets else count)]
            requests = [answering(wallet, asked, shown[index % len(shown)]) for index in range(count)]
            changes = CODE_ISSUED | CODE_TOLD
            with changing(server, changes):
                won.append(accepted(together(addresses, requests)))
                repeated = len(won[-1]) - 1
                changes |= {"spent dpop_jti": 1 + repeated, "told of answer_repeated": repeated}
            assert wallet.exchange(won[-1][0].json()["code"]).status_code == 200
    return won


@pytest.mark.rule("B-02", "IA-45", "IA-44")
@pytest.mark.parametrize(("count", "rounds"), [(2, 30), (3, 20), (MANY, 20)])
def test_of_identical_follow_ups_one_is_accepted(origins: Origins, count: int, rounds: int) -> None:
    won = race(origins, STRICT, count=count, rounds=rounds, same_octets=True)
    assert [len(answers) for answers in won] == [1] * rounds


@pytest.mark.rule("B-02", "IA-45", "IA-44")
@pytest.mark.parametrize(("count", "rounds"), [(2, 30), (MANY, 10)])
def test_of_different_presentations_one_is_accepted(origins: Origins, count: int, rounds: int) -> None:
    won = race(origins, "academy", count=count, rounds=rounds, same_octets=False)
    assert [len(answers) for answers in won] == [1] * rounds


@pytest.mark.rule("B-02", "B-01")
@pytest.mark.parametrize(("count", "rounds"), [(2, 30), (MANY, 10)])
def test_where_lost_answers_are_repeated_a_second_is_told_the_same_code(
    origins: Origins, count: int, rounds: int
) -> None:
    """One of the others may come so late that it looks like a repetition: it is answered as one, once."""
    won = race(origins, "academy", count=count, rounds=rounds, same_octets=True)
    assert all(1 <= len(answers) <= 2 for answers in won)
    assert all(len({answer.content for answer in answers}) == 1 for answers in won)


@pytest.mark.rule("B-02", "IA-45")
def test_right_and_wrong_presentations_and_refusals_at_once(origins: Origins) -> None:
    """Whoever comes first is judged, and is the only one; the session ends by what came of that."""
    server, addresses = origins
    ended = []
    with interactive_wallet(server, STRICT) as wallet:
        pid = PID_ISSUER.issue(holder=wallet.holder.private).text
        for turn in range(20):
            asked = wallet.begin()
            sent = [wallet.present(asked, pid), wallet.present(asked, pid, key=wallet.key), None]
            requests = [answering(wallet, asked, sent[(index + turn) % 3]) for index in range(MANY)]
            changes: dict[str, int] = {}
            with changing(server, changes):
                answers = [error_of(answer) for answer in together(addresses, requests)]
                [first] = [answer for answer in answers if answer != (400, "invalid_request")]
                failed = {"session pending": -1, "session failed": 1, "spent dpop_jti": 1, "told of session_failed": 1}
                changes |= CODE_ISSUED | CODE_TOLD if first[0] == 200 else failed
            ended.append(first)
            assert error_of(wallet.show(asked, pid)) == (400, "invalid_request")
    assert set(ended) == {(200, None), (400, "access_denied")}


@pytest.mark.rule("B-02")
def test_of_many_returns_from_the_browser_one_goes_on(origins: Origins) -> None:
    server, addresses = origins
    with interactive_wallet(server, "academy", scope="alumni-card") as wallet:
        pid = PID_ISSUER.issue(holder=wallet.holder.private).text
        for _ in range(5):
            handle = wallet.agree(wallet.show(wallet.begin(), pid))["auth_session"]
            verifier = {"code_verifier": wallet.verifier, "x": "1"}
            follow_ups = [partial(wallet.follow_up, handle, {**verifier, "n": str(n)}) for n in range(MANY)]
            requests = [unsent(wallet, follow_up) for follow_up in follow_ups]
            goes_on = {"session web_auth_completed": -1, "session pending": 1, "spent dpop_jti": 1}
            with changing(server, goes_on):
                [taken] = accepted(together(addresses, requests))
            assert wallet.show(taken, pid).status_code == 200
