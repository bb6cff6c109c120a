"""Whole journeys through a pair of processes, from the interactive request to the credential."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from tests.crashes.pair import Pair, Route
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.presented import PID_ISSUER

TENANT = "academy"

_BEGIN = [("interactive", 400), ("interactive", 200)]
"""The first request, which learns the DPoP nonce, and the one that has it."""
_PRESENT = [("interactive", 200)]
_PAGES = [("authorize", 200), ("answer", 303)]
_RETURN = [("interactive", 200)]
_REDEEM = [("token", 200), ("nonce", 200), ("credential", 200)]

REQUESTS = {
    "student-card": [*_BEGIN, *_PRESENT, *_REDEEM],
    "diploma": [*_BEGIN, *_PRESENT, *_PAGES, *_REDEEM],
    "alumni-card": [*_BEGIN, *_PRESENT, *_PAGES, *_RETURN, *_PRESENT, *_REDEEM],
}
"""The requests of each journey, where all goes well: every nonce is good for both processes."""

GAPS = range(1, max(map(len, REQUESTS.values())))
"""How many requests were answered before something happens."""


class Walk(NamedTuple):
    """One journey: for which credential, by which token table, from which process on, and when something happens."""

    scope: str
    urn: bool
    first: int
    gap: int


def walks(gaps: Iterable[int], firsts: Callable[[int], Iterable[int]]) -> list[Walk]:
    """Return every journey that has one of these gaps, by both token tables."""
    return [
        Walk(scope, urn, first, gap)
        for gap in gaps
        for scope, requests in REQUESTS.items()
        if gap < len(requests)
        for urn in (False, True)
        for first in firsts(gap)
    ]


def wallet_by(route: Route, pair: Pair, *, urn: bool = False, scope: str = "student-card") -> InteractiveWallet:
    """Return a wallet whose requests, and those of its browsers, go this way."""
    return interactive_wallet(pair.server, TENANT, transport=route, urn=urn, scope=scope)


def personal_id(wallet: InteractiveWallet) -> str:
    """Return a personal ID for the holder."""
    return PID_ISSUER.issue(holder=wallet.holder.private).text


def walk(pair: Pair, one: Walk, meanwhile: Callable[[], object]) -> Route:
    """Walk to the credential; return the way its requests took."""
    route = Route(pair, first=one.first)
    route.before[one.gap] = meanwhile
    with wallet_by(route, pair, urn=one.urn, scope=one.scope) as wallet:
        answer = wallet.derived(wallet.interactive_token(personal_id(wallet)))
    assert [credential.keys() for credential in answer.json()["credentials"]] == [{"credential"}]
    return route


def walk_all(pair: Pair, all_of: list[Walk], happening: Callable[[], None]) -> dict[Walk, Route]:
    """Walk all at once. When each stands at its gap, something happens once; then all go on."""
    barrier = threading.Barrier(len(all_of), action=happening, timeout=60)
    with ThreadPoolExecutor(len(all_of)) as pool:
        routes = pool.map(partial(walk, pair, meanwhile=barrier.wait), all_of)
        return dict(zip(all_of, routes, strict=True))


def answers(route: Route) -> list[tuple[str, int]]:
    """Return what was asked for and the status of the answer, in order."""
    return [(sent.endpoint, sent.status) for sent in route.sent]


def processes(route: Route) -> list[int]:
    """Return who got each request, in order."""
    return [sent.process for sent in route.sent]
