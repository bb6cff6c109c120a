"""Which endpoint demands which proofs, read off the handlers' signatures and compared with `matrix.txt`.

A change of protection is thereby a visible diff. To accept one: `python -m tests.architecture.test_matrix`.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from app.main import build
from app.ports import RequestKind
from app.settings import Settings

MATRIX = Path(__file__).parent / "matrix.txt"
ROOT = Path(__file__).parents[2]
CHECKS = ("tenancy", "form", "client", "proof", "access_token", "json_object")
"""What a handler can demand, in the order of the chain; everything else it names is no check."""


def matrix(app: Litestar) -> str:
    """Return the matrix of an application as text."""
    rows = []
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if not isinstance(handler, HTTPRouteHandler) or handler.http_methods == {"OPTIONS"}:
                continue
            demanded = handler.parsed_fn_signature.parameters
            checks = "  ".join(name if name in demanded else "." * len(name) for name in CHECKS)
            limit = handler.resolve_request_max_body_size()
            limit_text = str(limit) if "form" in demanded or "json_object" in demanded else "-"
            for method in sorted(handler.http_methods):
                rows.append(f"{method:<5} {route.path:<58} {checks}  {limit_text}")
    return "\n".join(sorted(rows, key=lambda row: row.split()[1::-1])) + "\n"


def test_matrix_is_as_checked_in() -> None:
    assert matrix(build(Settings())) == MATRIX.read_text()


def test_every_demand_is_a_known_check() -> None:
    for route in build(Settings()).routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.http_methods != {"OPTIONS"}:
                assert set(handler.parsed_fn_signature.parameters) <= {*CHECKS, "request"}


def test_every_request_to_a_tenant_is_counted() -> None:
    for route in build(Settings()).routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and "tenancy" in handler.parsed_fn_signature.parameters:
                assert handler.opt.get("counted_as") in get_args(RequestKind), handler


@pytest.mark.parametrize(
    ("file", "planted_in", "planted"),
    [
        ("par.py", "    client: NamedDependency[AuthenticatedClient],\n", ""),
        ("credential.py", "    proof: NamedDependency[DpopProof | None],\n", ""),
        ("token.py", "request_max_body_size=FORM_LIMIT", "request_max_body_size=10 * FORM_LIMIT"),
    ],
    ids=["client authentication dropped", "proof dropped", "limit raised"],
)
def test_a_planted_change_of_protection_is_seen(tmp_path: Path, file: str, planted_in: str, planted: str) -> None:
    for folder in ("app", "migrations", "config", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    endpoint = tmp_path / "app" / "endpoints" / file
    text = endpoint.read_text()
    assert planted_in in text
    endpoint.write_text(text.replace(planted_in, planted))
    run = subprocess.run(
        [sys.executable, "-m", "tests.architecture.test_matrix", "--print"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout != MATRIX.read_text()


if __name__ == "__main__":
    found = matrix(build(Settings()))
    if "--print" in sys.argv:
        sys.stdout.write(found)
    else:
        MATRIX.write_text(found)
