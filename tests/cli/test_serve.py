"""`vestibule serve` as a process: it says where it listens, answers, and stops when told to."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from app.cli import vestibule

ROOT = Path(__file__).parents[2]


def environment(folder: Path, **settings: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VESTIBULE_")}
    return {**clean, "VESTIBULE_DATA_DIRECTORY": str(folder), "VESTIBULE_LOG__FORMAT": "json", **settings}


@contextmanager
def service(folder: Path, *options: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start the service on a free port; yields the process and its first log record."""
    command = [sys.executable, "-m", "app", "serve", "--port", "0", *options]
    environ = environment(folder, **settings)
    with subprocess.Popen(command, cwd=ROOT, env=environ, text=True, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("{"), line + process.stderr.read()
            yield process, json.loads(line)
        finally:
            process.kill()


def get(record: dict[str, Any], path: str) -> int:
    with urllib.request.urlopen(f"http://{record['listening']}{path}", timeout=5) as answer:
        return int(answer.status)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_announces_itself_answers_and_stops_with_success(tmp_path: Path, number: signal.Signals) -> None:
    with service(tmp_path) as (process, record):
        assert record["event"] == "serving"
        assert (record["public_url"], record["database"], record["tls"]) == ("http://localhost:8000", "sqlite", False)
        assert (get(record, "/healthz"), get(record, "/readyz")) == (200, 200)
        process.send_signal(number)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    requests = [json.loads(line) for line in log.splitlines()]
    assert [request["status"] for request in requests if request["event"] == "request"] == [200, 200]


def test_unsafe_settings_are_named_at_the_start(tmp_path: Path) -> None:
    with service(tmp_path, VESTIBULE_DEMO="true") as (process, record):
        assert record["demo"] is True
        assert process.stderr is not None
        warning = json.loads(process.stderr.readline())
    assert (warning["level"], warning["event"]) == ("warning", "unsafe setting")
    assert warning["setting"].startswith("demo: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--public-url", "https://issuer.example"], "server.tls_certificate"),
        (["--public-url", "http://issuer.example"], "plain http is for"),
        (["--port", "many"], "--port: server.port: Expected `int`"),
    ],
)
def test_a_start_that_is_refused_is_one_clean_message(tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(vestibule, ["serve", *options], env=environment(tmp_path))
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_a_failed_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "app", "serve", "--port", port]
        result = subprocess.run(
            command, cwd=ROOT, env=environment(tmp_path), text=True, capture_output=True, timeout=30, check=False
        )
    assert result.returncode == 1
    assert "address already in use" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "code", "message"),
    [
        ("VESTIBULE_SECRETS__MASTER_KEYS", "canary", 1, "secrets.master_keys: a key is not base64url"),
        ("VESTIBULE_DATABASE__URL", "postgresql://canary:canary@127.0.0.1:1/vestibule", 3, "not reachable"),
    ],
)
def test_an_application_that_cannot_start_says_why(
    tmp_path: Path, name: str, value: str, code: int, message: str
) -> None:
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    environ = environment(tmp_path, **{name: value})
    result = subprocess.run(command, cwd=ROOT, env=environ, text=True, capture_output=True, timeout=30, check=False)
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert "canary" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_it_starts_quickly_and_stays_small(tmp_path: Path) -> None:
    """Once warm: the first start of all makes the schema and compiles the code."""
    with service(tmp_path):
        pass
    started = time.perf_counter()
    with service(tmp_path) as (process, record):
        get(record, "/readyz")
        assert time.perf_counter() - started < 1.5
        assert psutil.Process(process.pid).memory_info().rss < 150 * 1024 * 1024
