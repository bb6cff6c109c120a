"""Lets wallets walk for minutes while others attack, and fails if anything at all went wrong. Run by `scripts/soak`."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.soak.soak import Plan, Soaked, soak
from tests.support.measured import fresh_database

MEMORY = 4.0
"""MiB: 45 octets per request, in ten minutes."""


def main() -> int:
    """Soak one database; 1 if something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--wallets", type=int, default=16, help="at the same time")
    parser.add_argument("--hostile", type=float, default=0.1, help="share of the requests")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service (PostgreSQL only)")
    parser.add_argument(
        "--memory", type=float, default=MEMORY, help="MiB by which a process may grow in the last third"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    if options.workers > 1 and options.database == "sqlite":
        parser.error("several processes need PostgreSQL")
    plan = Plan(
        database=options.database,
        seconds=options.minutes * 60,
        wallets=options.wallets,
        hostile=options.hostile,
        workers=options.workers,
        memory=options.memory,
    )
    with tempfile.TemporaryDirectory() as folder, fresh_database(plan.database, Path(folder)) as url:
        if url is None:
            return 1
        print(f"soaking {plan.database} for {options.minutes:g} minutes with {plan.wallets} wallets", file=sys.stderr)
        soaked = soak(plan, url, Path(folder))
    print(json.dumps(msgspec.to_builtins(soaked)) if options.json else table(soaked))
    return 1 if soaked.problems else 0


def table(soaked: Soaked) -> str:
    """Return what was done and what went wrong, for people."""
    plan = soaked.plan
    sent = soaked.good_requests + soaked.hostile_requests
    journeys = ", ".join(f"{count} {kind}" for kind, count in sorted(soaked.journeys.items()))
    lines = [
        f"{plan.database}, {plan.workers} process(es), {plan.wallets} wallets, {plan.seconds:g} s",
        f"  journeys         {journeys}",
        f"  requests         {sent}, of them hostile {soaked.hostile_requests} ({soaked.hostile_requests / sent:.1%}),"
        f" {len(soaked.attacks)} kinds",
        f"  resident, MiB    {' '.join(f'{each:.1f}' for each in soaked.resident_mib)}",
        f"  grown, MiB       {soaked.grown_mib:.2f} (last third against second; {plan.memory:g} allowed)",
        f"  descriptors      {' '.join(map(str, soaked.descriptors))}",
        *(f"  PROBLEM          {problem}" for problem in soaked.problems),
        "  nothing went wrong" if not soaked.problems else f"  {len(soaked.problems)} problems",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
