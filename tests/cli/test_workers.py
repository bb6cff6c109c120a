"""`vestibule serve --workers`: several processes behind one socket, on PostgreSQL."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from app.cli import vestibule
from tests.cli.test_serve import ROOT, environment, get
from tests.journeys.test_key_life import customer, rotate_access_tokens
from tests.support.documents import document
from tests.support.fakes import FixedClock
from tests.support.served import migrated_database, query
from tests.support.server import MASTER_KEY, RunningServer, free_port, settings_for

pytestmark = pytest.mark.postgres
WORKERS = 2


class Supervised:
    """A supervisor with workers that serve."""

    def __init__(self, process: subprocess.Popen[str], record: dict[str, Any], beside: RunningServer) -> None:
        self.process, self.record, self.beside = process, record, beside

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def stop(self) -> tuple[int, list[dict[str, Any]]]:
        """Tell it to stop; return exit code and the rest of the log."""
        self.process.terminate()
        _, log = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line) for line in log.splitlines()]


class Clock(FixedClock):
    """The real time, which the processes go by."""

    def now(self) -> int:
        return int(time.time())


@contextmanager
def supervised(request: pytest.FixtureRequest, folder: Path, workers: int) -> Iterator[Supervised]:
    with migrated_database(request, "postgresql", folder) as url:
        settings = settings_for(url, folder, port=free_port())
        beside = RunningServer(settings, Clock())
        beside.apply(document())
        environ = environment(
            folder,
            VESTIBULE_PUBLIC_URL=settings.public_url,
            VESTIBULE_DATABASE__URL=url,
            VESTIBULE_SECRETS__MASTER_KEYS=MASTER_KEY,
        )
        port = settings.public_url.rpartition(":")[2]
        command = [sys.executable, "-m", "app", "serve", "--port", port, "--workers", str(workers)]
        with subprocess.Popen(command, cwd=ROOT, env=environ, text=True, stderr=subprocess.PIPE) as process:
            children: list[psutil.Process] = []
            try:
                assert process.stderr is not None
                line = process.stderr.readline()
                assert line.startswith("{"), line + process.stderr.read()
                running = Supervised(process, json.loads(line), beside)
                children = running.workers()
                yield running
            finally:
                process.kill()
                for child in children:
                    with suppress(psutil.NoSuchProcess):
                        child.kill()


@pytest.fixture
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervised]:
    with supervised(request, tmp_path, getattr(request, "param", WORKERS)) as running:
        yield running


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_they_serve_as_one_each_with_connections_of_its_own(running: Supervised) -> None:
    assert (running.record["event"], running.record["workers"]) == ("serving", WORKERS)
    assert len(running.workers()) == WORKERS
    assert get(running.record, "/readyz") == 200
    clients = text(
        "SELECT client_port FROM pg_stat_activity WHERE application_name = 'vestibule' AND datname = current_database()"
    )
    ports = {row[0] for row in query(running.beside, clients)}
    for worker in running.workers():
        assert {one.laddr.port for one in worker.net_connections("tcp")} & ports
    answers = customer(running.beside, 3)
    running.beside.beside(rotate_access_tokens)
    answers += customer(running.beside, 6)
    assert {status for _, status, _ in answers} <= {200, 201}, answers
    code, log = running.stop()
    assert code == 0, log


@pytest.mark.parametrize("running", [1, WORKERS], indirect=True)
def test_what_is_in_flight_when_it_is_told_to_stop_is_answered(running: Supervised) -> None:
    body = b"client_id=demo-wallet&response_type=code"
    head = (
        f"POST /pid-provider/par HTTP/1.1\r\nHost: {running.beside.url.removeprefix('http://')}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    host, port = running.record["listening"].split(":")
    with ExitStack() as opened:
        requests = [opened.enter_context(socket.create_connection((host, int(port)), timeout=20)) for _ in range(12)]
        answers = finish_after(running.process.terminate, requests, head, body)
    assert all(answer.startswith(b"HTTP/1.1 400 ") and answer.endswith(b"}") for answer in answers), answers
    code, log = running.stop()
    assert code == 0, log
    assert [record["status"] for record in log if record["event"] == "request"] == [400] * len(requests)


def finish_after(stop: Callable[[], None], requests: Sequence[socket.socket], head: bytes, body: bytes) -> list[bytes]:
    """Send all requests by half, stop, send the rest; return the answers."""
    for request in requests:
        request.sendall(head)
    for request in requests:
        # The service is in the middle of the request and waits for its body.
        assert request.recv(100).startswith(b"HTTP/1.1 100 ")
        request.sendall(body[:10])
    stop()
    assert eventually(lambda: is_refused(requests[0].getpeername()))
    for request in requests:
        request.sendall(body[10:])
    answers = []
    for request in requests:
        with request.makefile("rb") as answer:
            answers.append(answer.read())
    return answers


def is_refused(address: tuple[str, int]) -> bool:
    """Whether nobody listens any more."""
    try:
        socket.create_connection(address, timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_worker_that_dies_is_replaced(running: Supervised) -> None:
    before = {worker.pid for worker in running.workers()}
    victim = running.workers()[0]
    victim.kill()
    assert eventually(lambda: len({worker.pid for worker in running.workers()} - before) == 1)
    assert get(running.record, "/readyz") == 200
    code, log = running.stop()
    assert code == 0, log
    [ended] = [record for record in log if record["event"] == "worker ended"]
    assert (ended["process"], ended["code"]) == (victim.pid, -signal.SIGKILL)


def test_workers_do_not_outlive_their_supervisor(running: Supervised) -> None:
    workers = running.workers()
    os.kill(running.process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def test_what_hinders_the_start_is_said_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--workers", "3"]
    environ = environment(tmp_path, VESTIBULE_DATABASE__URL="postgresql://canary:canary@127.0.0.1:1/vestibule")
    result = subprocess.run(command, cwd=ROOT, env=environ, text=True, capture_output=True, timeout=60, check=False)
    assert result.returncode == 3
    assert result.stderr.count("not reachable") == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("workers", "message"), [("2", "server.workers: more than one process needs PostgreSQL"), ("0", "1 or more")]
)
def test_a_number_of_workers_that_cannot_be_is_refused(tmp_path: Path, workers: str, message: str) -> None:
    result = CliRunner().invoke(vestibule, ["serve", "--workers", workers], env=environment(tmp_path))
    assert result.exit_code == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
