"""What is committed names no machine and no registry, and installs the same everywhere."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import app

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]

# Written in pieces, so that this file does not find itself.
FOREIGN = re.compile(
    "|".join(
        [
            r"pypi\." + r"org",
            r"python" + r"hosted",
            r"registry\.npm" + r"js",
            r"deb\.deb" + r"ian\.org",
            r"(?<![\w.])/(?:work|root|home)" + r"/\w",
            r"\.\./" + r"shared",
            r"--(?:extra-)?index" + r"-url",
        ]
    )
)


def tracked() -> list[Path]:
    """Return the files of the repository, committed or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def foreign_names(files: list[Path]) -> list[str]:
    """Return `file:line: text` of everything that names a registry host or a machine's path."""
    found = []
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        found += [
            f"{file}:{number}: {line}" for number, line in enumerate(text.splitlines(), 1) if FOREIGN.search(line)
        ]
    return found


def test_no_registry_and_no_machine_is_named() -> None:
    assert foreign_names(tracked()) == []


@pytest.mark.parametrize("text", ["https://py" + "pi.org/simple", "cd /wo" + "rk/main", "see ../sha" + "red/x.md"])
def test_a_planted_name_is_caught(tmp_path: Path, text: str) -> None:
    file = tmp_path / "planted"
    file.write_text(f"first line\n{text}\n", encoding="utf-8")
    assert foreign_names([file]) == [f"{file}:2: {text}"]


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_of_a_lock_is_pinned_and_hashed(name: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip())
    assert len(entries) > 10
    for entry in entries:
        assert re.match(r"^[A-Za-z0-9._-]+==[^\s;]+(?: ; [^\\]+)? \\\n", entry), entry
        assert re.fullmatch(r"(?:\s+--hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+", entry.split("\\\n", 1)[1]), entry


def test_the_development_lock_holds_all_of_the_runtime_lock() -> None:
    pins = [
        set(re.findall(r"^([^\s\\]+==[^\s\\]+)", (ROOT / name).read_text(encoding="utf-8"), re.M)) for name in LOCKS
    ]
    assert pins[0] <= pins[1]


@pytest.mark.parametrize("name", ["scripts/run", "scripts/test", "scripts/check", "scripts/demo"])
def test_scripts_run_from_anywhere_and_explain_themselves(name: str, tmp_path: Path) -> None:
    assert os.access(ROOT / name, os.X_OK)
    result = subprocess.run([ROOT / name, "--help"], cwd=tmp_path, text=True, capture_output=True, check=True)
    assert result.stdout.startswith(f"Usage: {name}")


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == app.__version__
