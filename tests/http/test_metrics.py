"""The metrics, over HTTP: two processes on one database and one data directory, each with a metrics port of its own."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx2
import msgspec
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.settings import MetricsSettings
from tests.support.documents import document, other_tenant
from tests.support.fakes import RunningClock
from tests.support.raw_wallet import USERNAME, Browser, error_of, redirect_parameters
from tests.support.served import migrated_database
from tests.support.server import RunningServer, free_port, serving_process, settings_for

CANARY = "canary-4e71"

Counts = Counter[tuple[str, frozenset[tuple[str, str]]]]


class Watched(NamedTuple):
    """Two starts of one service."""

    server: RunningServer
    second: tuple[str, int]
    """Origin and process id of the second, which has two workers; the first is at the public URL."""
    metrics: list[str]
    """Where the metrics are, of each."""

    def get(self, path: str, *, host: str | None = None) -> int:
        return httpx2.get(self.server.url + path, headers={"Host": host} if host else {}).status_code

    def text(self, process: int = 0) -> str:
        answer = httpx2.get(self.metrics[process])
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return answer.text

    def counts(self, process: int = 0) -> Counts:
        return Counter(
            {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in text_string_to_metric_families(self.text(process))
                for sample in family.samples
            }
        )


def labelled(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"vestibule_{name}", frozenset(labels.items())


def of_requests(endpoint: str, outcome: str, *, tenant: str = "pid-provider") -> tuple[str, frozenset[tuple[str, str]]]:
    return labelled("requests_total", tenant=tenant, endpoint=endpoint, outcome=outcome)


@pytest.fixture(scope="module")
def watched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder: Path = tmp_path_factory.mktemp("metrics")
    with migrated_database(request, "postgresql", folder) as url, ExitStack() as stack:
        settings = settings_for(url, folder, port=free_port())
        server = RunningServer(settings, RunningClock())
        server.apply(document())
        server.apply(other_tenant())
        started, metrics = [], []
        for port, workers in ((settings.server.port, 1), (free_port(), 2)):
            watching = MetricsSettings(port=free_port())
            process = serving_process(msgspec.structs.replace(settings, metrics=watching), port=port, workers=workers)
            started.append(stack.enter_context(process))
            metrics.append(f"http://127.0.0.1:{watching.port}/metrics")
        yield Watched(server, started[1], metrics)


def test_a_journey_is_counted_once_in_every_place(watched: Watched) -> None:
    before = watched.counts()
    with watched.server.wallet() as wallet:
        assert wallet.credential(wallet.access_token()).status_code == 200
    counted = watched.counts() - before
    for name, labels in [
        ("sessions_begun_total", {"dialect": "web"}),
        ("sessions_ended_total", {"dialect": "web", "status": "code_issued"}),
        ("issued_total", {"kind": "code"}),
        ("issued_total", {"kind": "token"}),
        ("issued_total", {"kind": "credential"}),
    ]:
        assert counted[labelled(name, **labels)] == 1, name
    for endpoint in ("/{tenant}/par", "/{tenant}/token", "/{tenant}/credential"):
        assert counted[of_requests(endpoint, "ok")] == 1, endpoint
    pushes = {"endpoint": "/{tenant}/par"}
    assert counted[labelled("request_seconds_count", **pushes)] == 2  # the first was asked for a nonce
    assert counted[labelled("request_seconds_bucket", **pushes, le="+Inf")] == 2


def test_a_session_that_fails_is_counted_as_failed(watched: Watched, browser: Browser) -> None:
    before = watched.counts()
    with watched.server.wallet() as wallet:
        page = browser.sign_in(browser.get(wallet.authorize_url(wallet.push())))
        assert "error" in redirect_parameters(browser.submit(page, {"action": "refuse"}))
    counted = watched.counts() - before
    assert counted[labelled("sessions_ended_total", dialect="web", status="failed")] == 1
    assert counted[labelled("issued_total", kind="code")] == 0


def test_what_is_used_twice_is_counted_although_it_changes_nothing(watched: Watched) -> None:
    with watched.server.wallet() as wallet:
        wallet.push()
        before = watched.counts()
        proof = wallet.dpop("POST", f"{wallet.issuer}/par", nonce=wallet.nonces["as"])
        assert wallet.push(dpop=proof).status_code == 201
        assert error_of(wallet.push(dpop=proof)) == (400, "invalid_dpop_proof")
    counted = watched.counts() - before
    assert counted[labelled("replays_refused_total", kind="dpop_jti")] == 1
    assert counted[of_requests("/{tenant}/par", "invalid_dpop_proof")] == 1
    # The transaction of the second push was rolled back, with the session it would have begun.
    assert counted[labelled("sessions_begun_total", dialect="web")] == 1


def test_a_code_used_twice_is_a_replay(watched: Watched) -> None:
    with watched.server.wallet() as wallet:
        code = wallet.code()
        before = watched.counts()
        assert [wallet.exchange(code).status_code for _ in range(2)] == [200, 400]
    counted = watched.counts() - before
    assert counted[labelled("replays_refused_total", kind="code")] == 1
    assert counted[labelled("issued_total", kind="token")] == 1


def test_a_nonce_used_twice_is_a_replay(watched: Watched) -> None:
    with watched.server.wallet() as wallet:
        token = wallet.access_token()
        proofs = {"proofs": {"jwt": [wallet.key_proof(wallet.c_nonce())]}}
        before = watched.counts()
        assert [wallet.credential(token, proofs).status_code for _ in range(2)] == [200, 400]
    counted = watched.counts() - before
    assert counted[labelled("replays_refused_total", kind="c_nonce")] == 1
    assert counted[labelled("issued_total", kind="credential")] == 1


def test_both_ports_tell_the_sum_of_both_processes(watched: Watched) -> None:
    before = watched.counts()
    for origin, pushes in ((None, 2), (watched.second[0], 3)):
        with watched.server.wallet(sent_to=origin) as wallet:
            assert [wallet.push().status_code for _ in range(pushes)] == [201] * pushes
    for counted in (watched.counts(process) - before for process in (0, 1)):
        assert counted[of_requests("/{tenant}/par", "ok")] == 5
        assert counted[labelled("sessions_begun_total", dialect="web")] == 5


def test_a_worker_that_is_killed_takes_no_count_with_it(watched: Watched) -> None:
    origin, supervisor = watched.second
    for _ in range(20):  # each on a connection of its own, which either worker may take
        assert httpx2.get(f"{origin}/healthz").status_code == 200
    before = watched.counts(1)
    [killed, left] = psutil.Process(supervisor).children()
    killed.kill()
    killed.wait(10)
    assert left.is_running()
    assert before - watched.counts(1) == Counter()


@pytest.mark.rule("O-18")
def test_the_public_port_has_no_metrics(watched: Watched) -> None:
    assert [watched.get(path) for path in ("/metrics", "/pid-provider/metrics")] == [404, 404]


def test_the_metrics_port_has_nothing_else_and_listens_on_loopback_only(watched: Watched) -> None:
    url = watched.metrics[0].removesuffix("/metrics")
    assert [httpx2.get(url + path).status_code for path in ("/", "/healthz", "/pid-provider/token")] == [404] * 3
    port = int(url.rpartition(":")[2])
    listening = {each.laddr.ip for each in psutil.net_connections("inet") if each.laddr and each.laddr.port == port}
    assert listening == {"127.0.0.1"}


@pytest.mark.rule("O-08")
def test_nothing_a_client_sends_becomes_a_label(watched: Watched) -> None:
    # One of each kind first; any number more of the same kinds adds no time series.
    _send_oddities(watched, "first")
    series = set(watched.counts())
    for number in range(20):
        _send_oddities(watched, f"{CANARY}-{number}")
    assert set(watched.counts()) == series
    with watched.server.wallet() as wallet:
        code = wallet.code()
        token = wallet.exchange(code).json()["access_token"]
    text = watched.text()
    assert [word for word in (CANARY, USERNAME, "demo-wallet", code, token) if word in text] == []
    tenants = {dict(labels).get("tenant", "") for _, labels in series}
    assert tenants == {"", "pid-provider"}
    outcomes = {outcome for _, labels in series if (outcome := dict(labels).get("outcome"))}
    assert {"ok", "invalid_grant", "not_found"} <= outcomes
    assert [outcome for outcome in outcomes if not re.fullmatch("[a-z_]+", outcome)] == []


def _send_oddities(watched: Watched, word: str) -> None:
    for path in (
        f"/{word}",
        f"/{word}/token",
        f"/{word}/.well-known/{word}",
        f"/pid-provider/{word}",
        f"/pid-provider/token/{word}",
        f"/pid-provider/%2e/{word}",
        f"/.well-known/oauth-authorization-server/{word}",
        f"/pid-provider/authorize?client_id={word}&request_uri={word}",
    ):
        assert watched.get(path) in (400, 404, 405), path
    assert watched.get("/healthz", host=f"{word}.example") == 200
    assert watched.get(f"/{word}", host=f"{word}.example") == 421
    with watched.server.wallet() as wallet:
        assert wallet.push({"scope": word}).status_code == 400
        assert wallet.push({"client_id": word}).status_code in (201, 400, 401)
        assert wallet.exchange(word).status_code == 400
