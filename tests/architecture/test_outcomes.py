"""The outcomes of requests are words of the code: no input becomes an error code, a log value or a label."""

import ast
from collections.abc import Iterator

from app.settings import PROJECT_ROOT

FROM_A_TABLE = {"interaction/plan.py", "endpoints/errors.py", "endpoints/boundary.py"}
"""Where a code is chosen among literals before the refusal is made."""


def refusals() -> Iterator[tuple[str, ast.Call]]:
    """Yield every refusal made in the service, with its file."""
    app = PROJECT_ROOT / "app"
    for file in sorted(app.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
                yield str(file.relative_to(app)), node


def test_every_error_code_is_a_literal() -> None:
    others = {
        file
        for file, call in refusals()
        if not (call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str))
    }
    assert others == FROM_A_TABLE
