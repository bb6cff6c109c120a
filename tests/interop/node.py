"""Node, running the scripts of this folder."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


class Node:
    """Runs a script with a JSON argument; what it prints is its result."""

    def __init__(self, executable: str) -> None:
        self._executable = executable

    def run(self, script: str, argument: Any) -> Any:
        """Run `script` and return its result; the test fails with what the script says if it does not end well."""
        command = [self._executable, str(HERE / script), json.dumps(argument)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)


def node_or_skip() -> Node:
    """Find Node with the packages of this folder; without, the tests are skipped, or fail where they are demanded."""
    wanted = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    found = shutil.which("node")
    if found is not None and all((HERE / "node_modules" / package).is_dir() for package in wanted):
        return Node(found)
    missing = "NODE OR ITS PACKAGES ARE NOT INSTALLED: NO SOFTWARE OF OTHERS IS TESTED WITH (npm ci in tests/interop)"
    if os.environ.get("CI") == "true" or os.environ.get("VESTIBULE_TEST_REQUIRE_NODE") == "1":
        raise RuntimeError(missing)
    pytest.skip(missing)
