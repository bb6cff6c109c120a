"""The benchmark runs, and what it tells is of the shape that its documentation says."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.benchmark.wallets import ENDPOINTS

pytestmark = pytest.mark.slow


def measured(*arguments: str) -> dict[str, Any]:
    """Measure two wallets; in a round of few journeys the operating system, which counts ticks, may count none."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmark", "--database", "sqlite", "--concurrency", "2", "--json", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_it_tells_what_a_journey_costs() -> None:
    found = measured("--journeys", "200")
    assert found["journeys"] == 200
    # The cryptography of a journey is part of it; nine verifications are no less than a tenth of a millisecond.
    assert 0.1 < found["cryptography_per_journey"] < found["cpu_per_journey"]
    assert found["p50"].keys() == found["p95"].keys() == set(ENDPOINTS)
    assert all(0 < found["p50"][name] <= found["p95"][name] for name in ENDPOINTS)


def test_it_compares_few_and_many_stored_sessions() -> None:
    found = measured("--flatness", "--stored", "400", "--journeys", "180")
    assert (found["few"], found["many"], len(found["pairs"])) == (200, 400, 9)
    assert found["ratio"] > 0
