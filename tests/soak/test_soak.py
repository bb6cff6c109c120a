"""The soak in short: half a minute instead of ten, and more of it hostile, so that every attack comes up."""

from pathlib import Path

import pytest

from tests.soak.soak import Plan, soak
from tests.support.served import migrated_database


@pytest.mark.slow
@pytest.mark.rule("O-02", "O-03", "O-13")
@pytest.mark.parametrize(
    ("kind", "workers"), [("sqlite", 1), pytest.param("postgresql", 2, marks=pytest.mark.postgres)]
)
def test_nothing_goes_wrong(request: pytest.FixtureRequest, tmp_path: Path, kind: str, workers: int) -> None:
    # In so short a time memory has not settled: a worker may get its first wallet in the last third only.
    plan = Plan(database=kind, seconds=12, wallets=6, hostile=0.3, workers=workers, memory=32)
    with migrated_database(request, kind, tmp_path) as url:
        soaked = soak(plan, url, tmp_path)
    assert soaked.problems == []
    assert set(soaked.journeys) == {"student-card", "diploma"}
