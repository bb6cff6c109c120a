"""Measures what the service costs: CPU of the server process per request and per journey, medians over rounds.

The journey is push, exchange, nonce, credential, each with all its proofs; the sign-in is left out, because Argon2 is
slow on purpose: codes are put into the database beforehand. Wall time is not shown: client and server share the
machine's cores. Run by `scripts/bench`.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.adapters.db.migrate import upgrade
from tests.support.codes import insert_codes
from tests.support.documents import document
from tests.support.fakes import RunningClock
from tests.support.postgres import start_or_skip
from tests.support.raw_wallet import RawWallet
from tests.support.server import RunningServer, free_port, serving_process, settings_for

REQUESTS = ("push", "exchange", "nonce", "credential")


def measure(running: RunningServer, process: psutil.Process, *, rounds: int, journeys: int) -> dict[str, float]:
    """Return the median CPU of the server per request, in microseconds, by kind of request."""
    samples: dict[str, list[float]] = {name: [] for name in REQUESTS}
    with running.wallet() as wallet:
        wallet.push()  # so that a nonce is there and nothing below is sent twice
        for _ in range(rounds):
            codes = insert_codes(running, wallet, journeys)
            for name, cpu in _round(wallet, process, codes).items():
                samples[name].append(cpu)
    return {name: statistics.median(values) for name, values in samples.items()}


def _round(wallet: RawWallet, process: psutil.Process, codes: list[str]) -> dict[str, float]:
    tokens: list[str] = []
    nonces: list[str] = []

    def exchange(index: int) -> int:
        answer = wallet.exchange(codes[index])
        tokens.append(answer.json()["access_token"])
        return answer.status_code

    def fetch_nonce(_: int) -> int:
        nonces.append(wallet.c_nonce())
        return 200

    def credential(index: int) -> int:
        proofs = {"jwt": [wallet.key_proof(nonces[index])]}
        return wallet.credential(tokens[index], {"proofs": proofs}).status_code

    work: dict[str, tuple[Callable[[int], int], int]] = {
        "push": (lambda _: wallet.push().status_code, 201),
        "exchange": (exchange, 200),
        "nonce": (fetch_nonce, 200),
        "credential": (credential, 200),
    }
    measured: dict[str, float] = {}
    for name, (send, expected) in work.items():
        before = _cpu(process)
        for index in range(len(codes)):
            status = send(index)
            if status != expected:
                raise SystemExit(f"{name}: answered {status}")
        measured[name] = (_cpu(process) - before) / len(codes) * 1e6
    return measured


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Measure each database there is and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--journeys", type=int, default=200, help="per round")
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        databases = {"SQLite": f"sqlite:///{folder}/vestibule.db"}
        try:
            databases["PostgreSQL"] = asyncio.run(start_or_skip().create_database())
        except pytest.skip.Exception as missing:
            print(missing, file=sys.stderr)
        for name, url in databases.items():
            print(f"measuring {name}: {options.rounds} rounds of {options.journeys} journeys", file=sys.stderr)
            port = free_port()
            running = RunningServer(settings_for(url, Path(folder), port=port), RunningClock())
            asyncio.run(upgrade(url))
            running.apply(document())
            with serving_process(running.settings, port=port) as (_, process_id):
                process = psutil.Process(process_id)
                results[name] = measure(running, process, rounds=options.rounds, journeys=options.journeys)
                results[name]["resident MiB"] = process.memory_info().rss / 2**20
    print(f"{'server CPU, µs (median)':<28}" + "".join(f"{name:>12}" for name in results))
    for row in REQUESTS:
        print(f"{row:<28}" + "".join(f"{result[row]:>12.0f}" for result in results.values()))
    journey = "".join(f"{sum(result[name] for name in REQUESTS):>12.0f}" for result in results.values())
    print(f"{'journey without sign-in':<28}{journey}")
    print(f"{'resident MiB':<28}" + "".join(f"{result['resident MiB']:>12.0f}" for result in results.values()))


if __name__ == "__main__":
    main()
