"""What a soak looks for is found where it is."""

import json
import time
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import update

from app.adapters.db.tables import grants, sessions
from app.settings import LimitSettings
from tests.journeys.canaries import canary
from tests.soak import walker
from tests.soak.attacker import Attacker
from tests.soak.hostile import ATTACKS, Attack, Send
from tests.soak.remains import problems_of_log, problems_of_rows
from tests.soak.soak import Plan, missing
from tests.soak.walker import Task, Walked, walk
from tests.soak.watch import ENOUGH, MIB, Sample, Watch
from tests.support.campus import academy
from tests.support.fakes import RunningClock
from tests.support.interactive_wallet import interactive_wallet
from tests.support.limited import limited_server
from tests.support.presented import PID_ISSUER
from tests.support.raw_http import RawAnswer
from tests.support.served import change
from tests.support.server import RunningServer, fresh_server

RECORD = {"time": "2030-01-01T00:00:00Z", "level": "info", "event": "request", "status": 200}


@pytest.fixture(autouse=True)
def _progress() -> None:
    walker.share_progress([0, 0, 0])


def walked(server: RunningServer) -> Walked:
    """A wallet at a service, for a second."""
    return walk(Task(server.issuer("academy"), 0, 0, time.time() + 1, 0.2))


def told_raw(answer: RawAnswer) -> Send:
    def send(attacker: Attacker) -> RawAnswer:
        attacker.sent += 1
        return answer

    return send


@pytest.mark.parametrize(
    ("send", "told", "found"),
    [
        (lambda attacker: attacker.post("/x", ""), "404 invalid_request", set()),
        (lambda attacker: attacker.post("/nonce", ""), "400 x", {"told 200, not 400 x"}),
        (told_raw(RawAnswer(500, {}, b'{"error":"server_error"}')), "400", {"told 500 server_error, not 400"}),
        (told_raw(RawAnswer(0, {}, b"")), "400", {"told closed, not 400"}),
    ],
    ids=["refused", "accepted", "5xx", "closed"],
)
def test_an_attack_that_is_told_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, send: Send, told: str, found: set[str]
) -> None:
    attack = Attack("x", send, told)
    monkeypatch.setattr(walker, "ATTACKS", (attack,))
    with fresh_server(tmp_path, [academy()], clock=RunningClock()) as server:
        done = walked(server)
    assert done.attacks["x"] > 0
    assert done.journeys["student-card"] > 0
    assert {failure.removeprefix("hostile x: ") for failure in done.failures} == found


def test_a_good_journey_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walker, "ATTACKS", ())
    limits = LimitSettings(tokens_per_client=2)
    with limited_server(tmp_path, limits, documents=[academy()]) as server:
        server.clock.seconds = time.time()
        done = walked(server)
    assert done.journeys.total() == 2
    assert done.failures
    assert all("GoodJourneyFailed: token: 429" in failure for failure in done.failures)


def test_a_5xx_of_a_good_request_counts_though_the_wallet_goes_on() -> None:
    request = httpx2.Request("POST", "http://localhost/academy/nonce")
    sees = walker.Walker(Task("http://localhost/academy", 0, 0, 0, 0.1))
    sees._see_good(httpx2.Response(503, request=request))
    assert sees.walked.failures == ["POST /academy/nonce: 503"]


@pytest.mark.parametrize(
    ("resident", "descriptors", "found"),
    [
        ([100 + min(step, 30) for step in range(90)], [20] * 90, []),
        ([100 + step / 10 for step in range(90)], [20] * 90, ["memory grew by 3.0 MiB"]),
        ([100] * 90, [20 + step for step in range(90)], ["30 more descriptors are open"]),
        ([100, 900] * 45, [20, 60] * 45, []),
        ([100] * (ENOUGH - 1), [20] * (ENOUGH - 1), ["too few"]),
    ],
    ids=["warms up", "leaks", "keeps files open", "goes up and down", "too short"],
)
def test_growth(resident: list[float], descriptors: list[int], found: list[str]) -> None:
    watch = Watch(1)
    watch.samples[1] = [Sample(int(memory * MIB), opened) for memory, opened in zip(resident, descriptors, strict=True)]
    problems = list(watch.problems(memory=2, descriptors=12))
    assert len(problems) == len(found)
    assert all(what in problem for what, problem in zip(found, problems, strict=True))


def test_a_process_that_ended() -> None:
    watch = Watch(1)
    watch.samples[1], watch.samples[2] = [Sample(MIB, 20)] * 90, [Sample(MIB, 20)] * 60
    assert list(watch.problems(memory=2, descriptors=12)) == ["process 2 was not there all the time"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (json.dumps(RECORD), []),
        (json.dumps({**RECORD, "level": "error", "status": 500}), ["in the log: "]),
        (
            json.dumps({**RECORD, "level": "warning", "event": "Task was destroyed but it is pending!"}),
            ["in the log: "],
        ),
        (json.dumps({**RECORD, "level": "warning", "event": "Invalid HTTP request received."}), []),
        ("Traceback (most recent call last):", ["a line of the log is no record"]),
        (json.dumps({**RECORD, "reason": "{secret}"}), ["the log holds the given_name"]),
    ],
)
def test_the_log(tmp_path: Path, line: str, found: list[str]) -> None:
    secret = canary("given_name")
    log = tmp_path / "log"
    log.write_text(json.dumps(RECORD) + "\n" + line.replace("{secret}", secret) + "\n")
    problems = list(problems_of_log(log, {"given_name": secret, "family_name": canary("family_name")}))
    assert len(problems) == len(found)
    assert all(problem.startswith(what) for what, problem in zip(found, problems, strict=True))


def test_rows_that_stay(tmp_path: Path) -> None:
    with fresh_server(tmp_path, [academy()]) as server, interactive_wallet(server, "academy") as wallet:
        wallet.begin()
        wallet.interactive_token(PID_ISSUER.issue(holder=wallet.holder.private).text)
    assert list(problems_of_rows(server)) == []


@pytest.mark.parametrize("status", ["presentation_received", "web_auth_completed", "all_steps_completed"])
def test_a_session_left_half_way(tmp_path: Path, status: str) -> None:
    with fresh_server(tmp_path, [academy()]) as server, interactive_wallet(server, "academy") as wallet:
        wallet.begin()
        change(server, update(sessions).values(status=status))
    assert list(problems_of_rows(server)) == [f"1 sessions were left {status}"]


def test_a_row_that_is_never_erased(tmp_path: Path) -> None:
    with fresh_server(tmp_path, [academy()]) as server, interactive_wallet(server, "academy") as wallet:
        wallet.interactive_token(PID_ISSUER.issue(holder=wallet.holder.private).text)
        change(server, update(grants).values(expires_at=2**40))
    assert "left for ever: 1 of grants" in list(problems_of_rows(server))


PLAN = Plan(database="sqlite", seconds=1, wallets=1, hostile=0.1, workers=1, memory=1)
EVERYTHING = Counter(attack.name for attack in ATTACKS)


@pytest.mark.parametrize(
    ("done", "found"),
    [
        (Walked(journeys=Counter(diploma=1), good=900, hostile=100, attacks=EVERYTHING), []),
        (Walked(good=900, hostile=100, attacks=EVERYTHING), ["wallet 0 finished no journey"]),
        (
            Walked(journeys=Counter(diploma=1), good=900, hostile=50, attacks=EVERYTHING),
            ["only 50 of 950 requests were hostile"],
        ),
        (
            Walked(journeys=Counter(diploma=1), good=900, hostile=100, attacks=EVERYTHING - Counter([ATTACKS[3].name])),
            [f"never tried: {ATTACKS[3].name}"],
        ),
    ],
    ids=["all of it", "no journey", "hardly hostile", "an attack left out"],
)
def test_what_was_not_done(done: Walked, found: list[str]) -> None:
    assert missing(PLAN, [done]) == found


def test_names_of_attacks_are_names() -> None:
    assert len(EVERYTHING) == len(ATTACKS)
