"""Measures what the service costs: CPU of its processes per journey, and how long a wallet waits at each endpoint.

The journey is `student-card`: an interactive request with DPoP, a presentation that is verified whole, the token, a
nonce, the credential; audit, log and limits on, no switch of the service different from production. Wallets sign
live in processes of their own, whose CPU does not count. CPU is what the operating system accounts to the service's
processes. Beside it stands what the cryptography of one journey costs alone, measured in the same run. Run by
`scripts/bench`.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import psutil
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from tests.support.campus import academy
from tests.support.fakes import RunningClock
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.measured import all_limits, fresh_database, processes
from tests.support.presented import PID_ISSUER
from tests.support.server import RunningServer, free_port, serving_process, settings_for
from tests.support.stored import store_finished_sessions

ENDPOINTS: Final = ("interactive", "presentation", "token", "nonce", "credential")
VERIFICATIONS: Final = 9
"""Of P-256 in one journey: four DPoP proofs, issuer, its certificate, key binding, access token, key proof."""
SIGNATURES: Final = 2
"""Access token and credential."""
_WARM_UP: Final = 30


class Measured(Struct, frozen=True, kw_only=True):
    """What one run found; times in milliseconds."""

    database: str
    workers: int
    concurrency: int
    stored_sessions: int
    journeys: int
    journeys_per_second: float
    cpu_per_journey: float
    cryptography_per_journey: float
    resident_mib: float
    p50: dict[str, float]
    p95: dict[str, float]


def main() -> None:
    """Measure each database that is asked for, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append", help="both unless given")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service (PostgreSQL only)")
    parser.add_argument("--concurrency", type=int, default=2, help="wallets at the same time")
    parser.add_argument("--journeys", type=int, default=1000, help="over all wallets")
    parser.add_argument("--stored", type=int, default=0, help="finished sessions that lie in the database already")
    parser.add_argument("--json", action="store_true", help="one JSON object for each run")
    options = parser.parse_args()
    for database in options.database or ["sqlite", "postgres"]:
        if options.workers > 1 and database == "sqlite":
            print("sqlite: several processes need PostgreSQL; left out", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder, fresh_database(database, Path(folder)) as url:
            if url is None:
                continue
            print(f"measuring {database}: {options.journeys} journeys", file=sys.stderr)
            measured = _measure(
                database,
                url,
                Path(folder),
                workers=options.workers,
                concurrency=options.concurrency,
                journeys=options.journeys,
                stored=options.stored,
            )
        print(json.dumps(_as_dict(measured)) if options.json else _table(measured))


def _measure(
    database: str, url: str, folder: Path, *, workers: int, concurrency: int, journeys: int, stored: int
) -> Measured:
    port = free_port()
    # Counted as ever, but one address sends everything: no number is ever reached.
    settings = msgspec.structs.replace(settings_for(url, folder, port=port), limits=all_limits(lambda _: 10**9))
    running = RunningServer(settings, RunningClock())
    running.apply(academy())
    if stored:
        store_finished_sessions(running, "academy", stored)
    with serving_process(running.settings, port=port, workers=workers) as (_, process_id):
        process = psutil.Process(process_id)
        each = -(-journeys // concurrency)
        _walk_at_once(running.issuer("academy"), concurrency, -(-_WARM_UP // concurrency))
        before, began = _cpu(process), time.perf_counter()
        waited = _walk_at_once(running.issuer("academy"), concurrency, each)
        took, cpu = time.perf_counter() - began, _cpu(process) - before
        resident = sum(each.memory_info().rss for each in processes(process)) / 2**20
    done = each * concurrency
    return Measured(
        database=database,
        workers=workers,
        concurrency=concurrency,
        stored_sessions=stored,
        journeys=done,
        journeys_per_second=done / took,
        cpu_per_journey=cpu / done * 1000,
        cryptography_per_journey=_cryptography() * 1000,
        resident_mib=resident,
        p50={name: statistics.median(waited[name]) * 1000 for name in ENDPOINTS},
        p95={name: statistics.quantiles(waited[name], n=20)[-1] * 1000 for name in ENDPOINTS},
    )


def _cpu(process: psutil.Process) -> float:
    return sum(times.user + times.system for times in (each.cpu_times() for each in processes(process)))


def _walk_at_once(issuer: str, wallets: int, journeys: int) -> dict[str, list[float]]:
    """Let wallets walk, each in a process of its own; return how long they waited, by endpoint."""
    # Not forked: this process has threads.
    with multiprocessing.get_context("spawn").Pool(wallets) as pool:
        waited = pool.starmap(_walk, [(issuer, journeys)] * wallets)
    return {name: [time for one in waited for time in one[name]] for name in ENDPOINTS}


def _walk(issuer: str, journeys: int) -> dict[str, list[float]]:
    waited: dict[str, list[float]] = {name: [] for name in ENDPOINTS}

    def timed(name: str, send: Callable[[], httpx2.Response]) -> httpx2.Response:
        began = time.perf_counter()
        answer = send()
        waited[name].append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise SystemExit(f"{name}: answered {answer.status_code}")
        return answer

    with InteractiveWallet(issuer, RunningClock()) as wallet:
        wallet.begin()  # so that a nonce is there and nothing below is sent twice
        card = PID_ISSUER.issue(holder=wallet.holder.private).text
        for _ in range(journeys):
            asked = timed("interactive", wallet.begin)
            code = timed("presentation", partial(wallet.show, asked, card)).json()["code"]
            token = timed("token", partial(wallet.exchange, code)).json()["access_token"]
            nonce = timed("nonce", partial(wallet.http.post, f"{issuer}/nonce")).json()["c_nonce"]
            body = {
                "credential_configuration_id": "student-card",
                "proofs": {"jwt": [wallet.key_proof(nonce)]},
            }
            timed("credential", partial(wallet.credential, token, body))
    return waited


def _cryptography() -> float:
    """Return the seconds of CPU that the signatures of one journey take alone."""
    key, data = ec.generate_private_key(ec.SECP256R1()), b"x" * 600
    algorithm = ec.ECDSA(hashes.SHA256())
    public, signature = key.public_key(), key.sign(data, algorithm)
    verify = _median(lambda: public.verify(signature, data, algorithm))
    return VERIFICATIONS * verify + SIGNATURES * _median(lambda: key.sign(data, algorithm))


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(15):
        began = time.process_time()
        for _ in range(100):
            work()
        times.append((time.process_time() - began) / 100)
    return statistics.median(times)


def _as_dict(measured: Measured) -> dict[str, Any]:
    return {name: getattr(measured, name) for name in measured.__struct_fields__}


def _table(measured: Measured) -> str:
    lines = [
        f"{measured.database}, {measured.workers} process(es), {measured.concurrency} wallets,"
        f" {measured.journeys} journeys, {measured.stored_sessions} sessions stored before",
        f"  service CPU per journey   {measured.cpu_per_journey:8.2f} ms",
        f"  of it cryptography alone  {measured.cryptography_per_journey:8.2f} ms",
        f"  journeys per second       {measured.journeys_per_second:8.1f}   (wallets share the machine)",
        f"  resident                  {measured.resident_mib:8.0f} MiB",
        "  a wallet waits, ms             p50      p95",
    ]
    lines += [f"    {name:<24}{measured.p50[name]:>8.1f} {measured.p95[name]:>8.1f}" for name in ENDPOINTS]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
