"""The linter keeps the real clock and real randomness out of the house, however they are imported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BANNED = {
    "time.time": "import time\n\nX = time.time()\n",
    "time.time, from": "from time import time\n\nX = time()\n",
    "time.monotonic": "import time as clock\n\nX = clock.monotonic()\n",
    "secrets": "import secrets\n\nX = secrets.token_bytes(8)\n",
    "secrets, from": "from secrets import token_bytes\n\nX = token_bytes(8)\n",
    "random": "import random\n\nX = random.Random()\n",
    "os.urandom": "import os\n\nX = os.urandom(8)\n",
    "datetime.now": "from datetime import UTC, datetime\n\nX = datetime.now(UTC)\n",
    "datetime.today": "import datetime\n\nX = datetime.date.today()\n",
    "uuid4": "import uuid\n\nX = uuid.uuid4()\n",
    "uuid4, from": "from uuid import uuid4\n\nX = uuid4()\n",
}


def bans(folder: Path, *files: str) -> list[str]:
    """Return the files in which ruff finds a banned name."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", "--output-format", "json"]
    result = subprocess.run([*command, *files], cwd=folder, text=True, capture_output=True, check=False)
    assert result.returncode in (0, 1), result.stderr
    return [Path(finding["filename"]).name for finding in json.loads(result.stdout)]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Plant every banned name in a copy of the house; return how often ruff objects to each file."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "app" / "adapters").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for number, source in enumerate(BANNED.values()):
        (folder / "app" / f"planted_{number}.py").write_text(source, encoding="utf-8")
    (folder / "app" / "adapters" / "planted_adapter.py").write_text(BANNED["time.time"], encoding="utf-8")
    found = bans(folder, "app")
    return {name: found.count(name) for name in found}


def test_the_house_keeps_the_ban() -> None:
    assert bans(ROOT, "app", "migrations" if (ROOT / "migrations").exists() else "app") == []


@pytest.mark.parametrize("number", range(len(BANNED)), ids=list(BANNED))
def test_a_planted_call_is_caught(planted: dict[str, int], number: int) -> None:
    assert planted.get(f"planted_{number}.py", 0) >= 1


def test_other_adapters_are_not_exempt(planted: dict[str, int]) -> None:
    assert planted["planted_adapter.py"] == 1
