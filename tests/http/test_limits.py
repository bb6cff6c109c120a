"""Rate limits over HTTP: who is told 429 and when to come back, who is not, and that nothing was done for it."""

import itertools
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import msgspec
import pytest

from app.settings import LimitSettings
from tests.http.pages import assert_error_page
from tests.http.state import count_rows, nothing_stored
from tests.support.campus import campus
from tests.support.interactive_wallet import interactive_wallet
from tests.support.limited import limited_server, sent_from
from tests.support.raw_wallet import RawWallet, error_of

HERE, ELSEWHERE = "203.0.113.5", "203.0.113.6"


def push(wallet: RawWallet, address: str = HERE, client_id: str = "demo-wallet") -> httpx2.Response:
    return wallet.push({"client_id": client_id}, dpop=False, headers=sent_from(address))


def assert_too_many(answer: httpx2.Response) -> int:
    """Assert OAuth's answer to one request too many; return the seconds to wait."""
    assert error_of(answer) == (429, "temporarily_unavailable"), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["retry-after"].isdecimal()
    return int(answer.headers["retry-after"])


@pytest.mark.rule("PAR-13", "B-20")
def test_one_push_too_many_makes_no_session_and_says_when_to_come_back(tmp_path: Path) -> None:
    with limited_server(tmp_path, LimitSettings(starts_per_address=4)) as server, server.wallet() as wallet:
        assert [push(wallet).status_code for _ in range(4)] == [201] * 4
        with nothing_stored(server):
            seconds = assert_too_many(push(wallet))
        assert push(wallet, ELSEWHERE).status_code == 201
        server.clock.advance(seconds - 1)
        assert assert_too_many(push(wallet)) == 1
        server.clock.advance(1)
        assert push(wallet).status_code == 201
        assert count_rows(server, "sessions") == 6


@pytest.mark.rule("B-20")
def test_a_client_over_its_limit_leaves_other_clients_and_tenants_alone(tmp_path: Path) -> None:
    limits = LimitSettings(starts_per_client=3, starts_per_tenant=5)
    with (
        limited_server(tmp_path, limits) as server,
        server.wallet() as wallet,
        server.wallet("other-tenant") as other,
    ):
        assert [push(wallet, f"203.0.113.{n}").status_code for n in range(3)] == [201] * 3
        for number in range(10):
            with nothing_stored(server):
                assert_too_many(push(wallet, f"203.0.113.{100 + number}"))
        # What the client was refused did not use up its tenant's limit.
        assert [push(wallet, client_id="other-wallet").status_code for _ in range(2)] == [201] * 2
        assert_too_many(push(wallet, client_id="other-wallet"))
        assert [push(other).status_code for _ in range(3)] == [201] * 3


def test_a_client_is_counted_once_it_is_recognized(tmp_path: Path) -> None:
    with (
        limited_server(tmp_path, LimitSettings(starts_per_client=1, starts_per_tenant=1)) as server,
        server.wallet() as wallet,
    ):
        for _ in range(3):
            assert error_of(push(wallet, client_id="retired-wallet")) == (401, "invalid_client")
        assert push(wallet).status_code == 201


@pytest.mark.rule("O-17")
@pytest.mark.parametrize(
    "forwarded",
    [
        lambda number: f"198.51.100.{number}, {HERE}",
        lambda number: f"2001:db8:1:2::{number}",
        lambda number: f"2001:db8:1:2:{number}::1, 127.0.0.1",
    ],
    ids=["made up before the proxy", "an IPv6 /64", "a /64 behind two proxies"],
)
def test_an_address_cannot_be_made_up(tmp_path: Path, forwarded: Callable[[int], str]) -> None:
    with limited_server(tmp_path, LimitSettings(starts_per_address=3)) as server, server.wallet() as wallet:
        statuses = [push(wallet, forwarded(number)).status_code for number in range(1, 6)]
        assert statuses == [201, 201, 201, 429, 429]
        assert push(wallet, ELSEWHERE).status_code == 201


@pytest.mark.rule("O-17")
def test_a_forwarded_address_of_somebody_who_is_no_proxy_is_not_believed(tmp_path: Path) -> None:
    with limited_server(tmp_path, LimitSettings(starts_per_address=3), proxies=()) as server, server.wallet() as wallet:
        assert [push(wallet, f"198.51.100.{number}").status_code for number in range(5)] == [201] * 3 + [429] * 2


@pytest.mark.rule("O-17")
def test_going_to_another_tenant_or_writing_the_path_otherwise_does_not_help(tmp_path: Path) -> None:
    with (
        limited_server(tmp_path, LimitSettings(starts_per_address=2, metadata_per_address=2)) as server,
        server.wallet() as wallet,
        server.wallet("other-tenant") as other,
    ):
        assert [push(one).status_code for one in (wallet, other, wallet, other)] == [201, 201, 429, 429]
        document = "/.well-known/oauth-authorization-server"
        paths = [
            f"{document}/pid-provider",
            f"/pid-provider{document}",
            "/other-tenant/jwks.json",
            "/nobody/jwks.json",
        ]
        statuses = [wallet.http.get(server.url + path, headers=sent_from(HERE)).status_code for path in paths]
        assert statuses == [200, 200, 429, 429]


ANSWERS: dict[str, Callable[[RawWallet], httpx2.Response]] = {
    "follow_ups": lambda wallet: wallet.http.post(f"{wallet.issuer}/interactive", data={"auth_session": "x"}),
    "tokens": lambda wallet: wallet.exchange("code", dpop=False),
    "credentials": lambda wallet: wallet.post("/credential", family="resource", json={}, access_token="x"),
    "nonces": lambda wallet: wallet.http.post(f"{wallet.issuer}/nonce"),
    "metadata": lambda wallet: wallet.http.get(f"{wallet.issuer}/jwks.json"),
}


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.rule("O-16")
def test_every_endpoint_has_its_limit(tmp_path: Path, kind: str) -> None:
    with (
        limited_server(tmp_path, msgspec.convert({f"{kind}_per_address": 1}, LimitSettings), proxies=()) as server,
        server.wallet() as wallet,
    ):
        assert ANSWERS[kind](wallet).status_code != 429
        assert_too_many(ANSWERS[kind](wallet))
        assert push(wallet).status_code == 201
        assert wallet.http.get(f"{server.url}/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/authorize?client_id=demo-wallet&request_uri=urn:x", "/authorize/answer"])
def test_a_person_gets_a_page(tmp_path: Path, path: str) -> None:
    with limited_server(tmp_path, LimitSettings(pages_per_address=1), proxies=()) as server, server.wallet() as wallet:

        def ask() -> httpx2.Response:
            method = "POST" if path.endswith("answer") else "GET"
            return wallet.http.request(method, wallet.issuer + path, data={"x": "y"} if method == "POST" else None)

        assert ask().status_code == 400
        answer = ask()
        assert "too many requests" in assert_error_page(answer, 429)
        assert int(answer.headers["retry-after"]) >= 1


def test_tenants_are_limited_where_no_client_is_known(tmp_path: Path) -> None:
    with (
        limited_server(tmp_path, LimitSettings(nonces_per_tenant=2)) as server,
        server.wallet() as wallet,
        server.wallet("other-tenant") as other,
    ):
        asked = [(one, n) for one in (wallet, other) for n in range(3)]
        statuses = [
            one.http.post(f"{one.issuer}/nonce", headers=sent_from(f"203.0.113.{n}")).status_code for one, n in asked
        ]
    assert statuses == [200, 200, 429] * 2


@pytest.mark.rule("M-18")
def test_a_tenant_that_is_flooded_leaves_the_others_theirs(tmp_path: Path) -> None:
    """However many send it, the one is told 429 beyond its limit, and the other is served, and soon."""
    flooded, others, waited = Counter[int](), Counter[int](), []
    done = threading.Event()

    def flood(network: int) -> None:
        with server.wallet() as wallet:
            for number in itertools.count():
                if done.is_set():
                    break
                # From ever new addresses: no narrower limit is reached.
                flooded[push(wallet, f"198.51.{network}.{number % 256}").status_code] += 1

    with (
        limited_server(tmp_path, LimitSettings(starts_per_tenant=60)) as server,
        server.wallet("other-tenant") as other,
        ThreadPoolExecutor(3) as pool,
    ):
        flooding = [pool.submit(flood, network) for network in range(3)]
        try:
            for number in range(60):
                began = time.perf_counter()
                others[push(other, f"203.0.113.{number}").status_code] += 1
                waited.append(time.perf_counter() - began)
        finally:
            done.set()
        for each in flooding:
            each.result()
    assert others == {201: 60}
    assert flooded[201] == 60
    assert flooded[429] > 60
    # Usually some hundredths of a second.
    assert statistics.quantiles(waited, n=20)[-1] < 1


def test_credentials_are_counted_by_the_client_of_the_token(tmp_path: Path) -> None:
    with limited_server(tmp_path, LimitSettings(credentials_per_client=2)) as server, server.wallet() as wallet:
        token = wallet.access_token()
        statuses = [
            wallet.post(
                "/credential",
                family="resource",
                json={},
                access_token=token,
                dpop={"nonce": "stale"},
                headers={"Authorization": f"DPoP {token}", **sent_from(address)},
            ).status_code
            for address in (HERE, ELSEWHERE, "203.0.113.7")
        ]
    assert statuses == [401, 401, 429]


@pytest.mark.rule("IA-48", "D1-06")
def test_follow_ups_are_limited_by_session(tmp_path: Path) -> None:
    with (
        limited_server(tmp_path, LimitSettings(follow_ups_per_session=3), documents=campus()) as server,
        interactive_wallet(server) as wallet,
    ):
        first, second = (wallet.begin() for _ in range(2))
        statuses = [
            wallet.follow_up(first, dpop={"key": wallet.holder}, headers=sent_from(f"203.0.113.{n}")).status_code
            for n in range(5)
        ]
        assert statuses == [400, 400, 400, 429, 429]
        assert_too_many(wallet.follow_up(first))
        assert wallet.follow_up(second).status_code == 400
        assert wallet.begin().status_code == 200


def test_interactive_starts_are_counted_with_pushes(tmp_path: Path) -> None:
    with (
        limited_server(tmp_path, LimitSettings(starts_per_address=2), documents=campus(), proxies=()) as server,
        interactive_wallet(server) as wallet,
    ):
        assert wallet.begin(dpop=False).status_code == 200
        assert wallet.push({"scope": "diploma"}, dpop=False).status_code != 429
        with nothing_stored(server):
            assert_too_many(wallet.begin(dpop=False))
