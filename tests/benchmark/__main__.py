"""Measures what the service costs: CPU of its processes per journey, and how long a wallet waits at each endpoint.

The journey is `student-card`: an interactive request with DPoP, a presentation that is verified whole, the token, a
nonce, the credential; audit, log and limits on, no switch of the service different from production. Wallets sign
live in processes of their own, whose CPU does not count. CPU is what the operating system accounts to the service's
processes. Beside it stands what the cryptography of one journey costs alone, measured in the same run.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct, to_builtins

from tests.benchmark.shares import limited
from tests.benchmark.stand import Stand, running_stand
from tests.benchmark.wallets import ENDPOINTS, Wallets

VERIFICATIONS: Final = 9
"""Of P-256 in one journey: four DPoP proofs, issuer, its certificate, key binding, access token, key proof."""
SIGNATURES: Final = 2
"""Access token and credential."""
_WALLETS: Final = 4
_WALLETS_OF_WORKER: Final = 6
"""Fewer would often leave one without any."""
_WARM_UP: Final = 30
_ROUNDS: Final = 10
_FEW: Final = 200
_PAIRS: Final = 9


class Measured(Struct, frozen=True, kw_only=True):
    """What one run found; times in milliseconds."""

    database: str
    workers: int
    concurrency: int
    stored_sessions: int
    journeys: int
    journeys_per_second: float
    cpu_per_journey: float
    """Median of the rounds."""
    cpu_of_rounds: list[float]
    interpreter: str
    cryptography_per_journey: float
    resident_mib: float
    p50: dict[str, float]
    p95: dict[str, float]


class Flatness(Struct, frozen=True, kw_only=True):
    """CPU per journey in milliseconds, with few and with many stored sessions, in pairs one after the other."""

    database: str
    few: int
    many: int
    pairs: list[tuple[float, float]]
    ratio: float
    """Median of the pairs' ratios: many to few."""


class Scaling(Struct, frozen=True, kw_only=True):
    """Journeys per second of one worker and of several, each with the same share of a core."""

    database: str
    workers: int
    share: float
    rounds: list[tuple[float, float]]
    ratio: float
    """Median of the rounds' ratios: several to one."""


def main() -> None:
    """Measure each database that is asked for, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append", help="both unless given")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service (PostgreSQL only)")
    parser.add_argument(
        "--concurrency",
        type=int,
        help=f"wallets at the same time: {_WALLETS} unless given, {_WALLETS_OF_WORKER} for each worker with --share",
    )
    parser.add_argument("--journeys", type=int, default=1000, help="over all wallets")
    parser.add_argument("--stored", type=int, default=0, help="finished sessions that lie in the database already")
    parser.add_argument(
        "--flatness", action="store_true", help=f"{_PAIRS} interleaved pairs: --stored sessions against {_FEW}"
    )
    parser.add_argument(
        "--share", type=float, help="journeys per second of --workers against one, each with this share of a core"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for each run")
    options = parser.parse_args()
    wallets = options.concurrency or (_WALLETS if options.share is None else _WALLETS_OF_WORKER * options.workers)
    for database in options.database or ["sqlite", "postgres"]:
        if options.workers > 1 and database == "sqlite":
            print("sqlite: several processes need PostgreSQL; left out", file=sys.stderr)
            continue
        print(f"measuring {database}: {options.journeys} journeys", file=sys.stderr)
        measured: Measured | Flatness | Scaling | None
        if options.flatness:
            measured = _flatness(database, wallets, options.journeys, many=options.stored)
        elif options.share is not None:
            measured = _scaling(database, wallets, options.journeys, options.workers, options.share)
        else:
            measured = _measure(database, wallets, options.journeys, options.workers, options.stored)
        if measured is not None:
            print(json.dumps(to_builtins(measured)) if options.json else _table(measured))


def _measure(database: str, concurrency: int, journeys: int, workers: int, stored: int) -> Measured | None:
    own, others = _cores(workers)
    with (
        running_stand(database, workers=workers, stored=stored) as stand,
        Wallets(concurrency, cores=others) as wallets,
    ):
        if stand is None:
            return None
        stand.keep_to(own)
        stand.walk(wallets, -(-_WARM_UP // concurrency), count=concurrency)
        rounds = [
            stand.walk(wallets, -(-journeys // concurrency // _ROUNDS), count=concurrency) for _ in range(_ROUNDS)
        ]
        walked, cpu = sum(each.journeys for each in rounds), [each.cpu / each.journeys * 1000 for each in rounds]
        waited = {name: [time for each in rounds for time in each.waited[name]] for name in ENDPOINTS}
        return Measured(
            database=database,
            workers=workers,
            concurrency=concurrency,
            stored_sessions=stored,
            journeys=walked,
            journeys_per_second=walked / sum(each.took for each in rounds),
            cpu_per_journey=statistics.median(cpu),
            cpu_of_rounds=cpu,
            interpreter=f"{platform.python_implementation()} {platform.python_version()}",
            cryptography_per_journey=_cryptography() * 1000,
            resident_mib=stand.resident,
            p50={name: statistics.median(waited[name]) * 1000 for name in ENDPOINTS},
            p95={name: statistics.quantiles(waited[name], n=20)[-1] * 1000 for name in ENDPOINTS},
        )


def _flatness(database: str, concurrency: int, journeys: int, *, many: int) -> Flatness | None:
    own, others = _cores(1)
    with (
        running_stand(database, stored=_FEW) as short,
        running_stand(database, stored=many) as long,
        Wallets(concurrency, cores=others) as wallets,
    ):
        if short is None or long is None:
            return None

        def cost(stand: Stand) -> float:
            walked = stand.walk(wallets, -(-journeys // concurrency // _PAIRS), count=concurrency)
            return walked.cpu / walked.journeys * 1000

        for stand in (short, long):
            stand.keep_to(own)
            cost(stand)
        pairs = []
        for number in range(_PAIRS):
            pairs.append((cost(short), cost(long)))
            print(f"  pair {number + 1} of {_PAIRS}: {pairs[-1][0]:.2f} and {pairs[-1][1]:.2f} ms", file=sys.stderr)
    ratio = statistics.median(with_many / with_few for with_few, with_many in pairs)
    return Flatness(database=database, few=_FEW, many=many, pairs=pairs, ratio=ratio)


def _scaling(database: str, concurrency: int, journeys: int, workers: int, share: float) -> Scaling | None:
    cores = sorted(os.sched_getaffinity(0))
    with (
        running_stand(database) as one,
        running_stand(database, workers=workers) as several,
        # A connection stays with its worker, and four of them may all be with one.
        Wallets(concurrency, cores=cores, reconnecting=True) as wallets,
    ):
        if one is None or several is None:
            return None
        stands = (one, several)
        with limited([process.pid for stand in stands for process in stand.workers], share):

            def rate(stand: Stand) -> float:
                walked = stand.walk(wallets, -(-journeys // concurrency // _PAIRS), count=concurrency)
                return walked.journeys / walked.took

            for stand in stands:
                stand.walk(wallets, -(-_WARM_UP // concurrency), count=concurrency)
            rounds = [(rate(one), rate(several)) for _ in range(_PAIRS)]
    ratio = statistics.median(of_several / of_one for of_one, of_several in rounds)
    return Scaling(database=database, workers=workers, share=share, rounds=rounds, ratio=ratio)


def _cores(workers: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return the service's cores, one for each worker, and the wallets'; all for all where there are too few."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[:workers], cores[workers:]) if len(cores) > workers else (cores, cores)


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


def _table(measured: Any) -> str:
    match measured:
        case Flatness():
            lines = [f"{measured.database}, service CPU per journey with {measured.few} and {measured.many} sessions"]
            lines += [f"  {with_few:8.2f} ms {with_many:8.2f} ms" for with_few, with_many in measured.pairs]
            lines += [f"  median of the ratios {measured.ratio:.3f}"]
        case Scaling():
            lines = [f"{measured.database}, journeys per second, {measured.share:.0%} of a core for each worker"]
            lines += [f"  one {one:8.1f}   {measured.workers} workers {many:8.1f}" for one, many in measured.rounds]
            lines += [f"  median of the ratios {measured.ratio:.2f}"]
        case _:
            lines = _costs(measured)
    return "\n".join(lines)


def _costs(measured: Measured) -> list[str]:
    return [
        f"{measured.database}, {measured.workers} process(es), {measured.concurrency} wallets,"
        f" {measured.journeys} journeys, {measured.stored_sessions} sessions stored before",
        f"  service CPU per journey   {measured.cpu_per_journey:8.2f} ms   (median of rounds, from"
        f" {min(measured.cpu_of_rounds):.2f} to {max(measured.cpu_of_rounds):.2f})",
        f"  of it cryptography alone  {measured.cryptography_per_journey:8.2f} ms",
        f"  journeys per second       {measured.journeys_per_second:8.1f}   (wallets share the machine)",
        f"  resident                  {measured.resident_mib:8.0f} MiB",
        f"  interpreter               {measured.interpreter}",
        "  a wallet waits, ms             p50      p95",
        *(f"    {name:<24}{measured.p50[name]:>8.1f} {measured.p95[name]:>8.1f}" for name in ENDPOINTS),
    ]


if __name__ == "__main__":
    main()
