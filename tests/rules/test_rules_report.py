"""The rows of docs/rules are sound, and a mark the report could not stand on is refused."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.rules import ROOT, chapters, complaints, rules, shown_by

WRITTEN = ["DP-01", "DP-02", "DP-03", "DP-04"]


def test_ids_are_unique() -> None:
    assert [one for one, count in Counter(rule.id for rule in rules()).items() if count > 1] == []


def test_every_row_says_something() -> None:
    assert chapters()
    assert [rule.id for rule in rules() if not (rule.rule.strip() and (rule.check or rule.safe_result))] == []


def test_no_excuse_is_stale() -> None:
    assert [rule.id for rule in rules() if rule.excuse and rule.id in shown_by()] == []


@pytest.mark.parametrize(
    ("ids", "complaint"),
    [
        (["DP-01"], ""),
        (["DP-01", "DP-02", "DP-03", "DP-03"], ""),
        (["DP-01", "XX-99"], "rule 'XX-99' is not in docs/rules"),
        (["DP-05"], "rule 'DP-05' is computed: write it as a literal"),
        (WRITTEN, "4 rules in one test, at most 3"),
    ],
)
def test_complaints(ids: list[str], complaint: str) -> None:
    assert "; ".join(complaints(ids, written=WRITTEN)) == complaint


def test_marks_are_found_where_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "tests" / "part" / "test_some.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        """
import pytest
CASES = [pytest.param(1, marks=pytest.mark.rule("DP-01"))]

@pytest.mark.rule("DP-02", "DP-03")
@pytest.mark.parametrize("x", [pytest.param(1, marks=[pytest.mark.rule("DP-04")])])
async def test_one(x): ...

@pytest.mark.rule("DP-03")
class TestSome:
    @pytest.mark.rule("DP-03")
    def test_two(self): ...
"""
    )
    assert shown_by(tmp_path) == {
        "DP-01": ["tests/part/test_some.py"],
        "DP-02": ["tests/part/test_some.py::test_one"],
        "DP-03": [
            "tests/part/test_some.py::test_one",
            "tests/part/test_some.py::TestSome::test_two",
            "tests/part/test_some.py::TestSome",
        ],
        "DP-04": ["tests/part/test_some.py::test_one"],
    }


def test_a_planted_unknown_id_is_an_error_of_collection(tmp_path: Path) -> None:
    planted = tmp_path / "tests" / "test_planted.py"
    planted.parent.mkdir()
    planted.write_text('import pytest\n\n@pytest.mark.rule("XX-99")\ndef test_planted(): ...\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = rule\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.rules", "--rootdir", tmp_path, planted],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == pytest.ExitCode.INTERRUPTED
    assert "tests/test_planted.py::test_planted: rule 'XX-99' is not in docs/rules" in ran.stdout
