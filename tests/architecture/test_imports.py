"""The layers of the house are enforced, and the enforcement catches what it should."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-logo"]
    return subprocess.run([*command, "--no-cache"], cwd=folder, text=True, capture_output=True, check=False)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_contracts_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("app/protocol/planted.py", "import app.interaction.plan", "a floor imports only floors below it"),
        ("app/endpoints/planted.py", "import app.adapters.system", "a floor imports only floors below it"),
        ("app/formats/planted.py", "import asyncio", "Pure rooms"),
        ("app/endpoints/planted.py", "import sqlalchemy", "SQL only in adapters"),
        ("app/steps/planted.py", "import litestar", "Litestar only at the edge"),
        ("app/wallet/planted.py", "import app.document.model", "The wallet knows only"),
    ],
)
def test_a_planted_import_is_caught(house: Path, module: str, line: str, contract: str) -> None:
    planted = house / module
    planted.write_text(f'"""Planted."""\n\n{line}\n', encoding="utf-8")
    try:
        result = lint_imports(house)
    finally:
        planted.unlink()
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [text for text in result.stdout.splitlines() if text.endswith("BROKEN")]
    assert len(broken) == 1
    assert contract in broken[0]
