"""The rules of docs/rules beside the tests that show them: a pytest plugin, and the report `scripts/rules` prints.

The report reads the test files as syntax, without importing or running them, so the ids of a mark are written as
literals. The plugin refuses marks the report could not stand on.
"""

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docs" / "rules"
MOST_IDS_PER_TEST = 3


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row; docs/rules/README.md says what its members are."""

    id: str
    level: Literal["must", "must not", "should", "should not", "may", "derived", "critical", "high", "medium", "low"]
    rule: str
    source: str = ""
    stopped_at: str = ""
    check: str = ""
    safe_result: str = ""
    decision: str = ""
    excuse: str = ""


class Chapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of rows."""

    title: str
    rule: list[Rule]
    note: str = ""


@cache
def chapters(folder: Path = RULES) -> list[Chapter]:
    """Read every chapter, the specifications' before the attacks'."""
    files = sorted(folder.glob("*.toml"), key=lambda file: (file.name.startswith("attacks-"), file.name))
    return [msgspec.toml.decode(file.read_bytes(), type=Chapter) for file in files]


def rules() -> list[Rule]:
    """Return every row of every chapter."""
    return [rule for chapter in chapters() for rule in chapter.rule]


class _Marks(ast.NodeVisitor):
    """Finds `pytest.mark.rule("…")` and the test it belongs to: a function, a class, or else the whole file."""

    def __init__(self, file: str) -> None:
        self.owner = [file]
        self.found: list[tuple[str, str]] = []

    def _visit_owner(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        if not node.name.lower().startswith("test"):
            self.generic_visit(node)
            return
        self.owner.append(node.name)
        self.generic_visit(node)
        self.owner.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _visit_owner  # noqa: N815 (names of ast)

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func) in {"pytest.mark.rule", "mark.rule"}:
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    self.found.append((argument.value, "::".join(self.owner)))
        self.generic_visit(node)


@cache
def shown_by(root: Path = ROOT) -> Mapping[str, list[str]]:
    """Return the tests below `root/tests` that name each id, by reading their syntax."""
    tests: dict[str, list[str]] = defaultdict(list)
    for file in sorted((root / "tests").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "mark.rule(" not in text:
            continue
        marks = _Marks(file.relative_to(root).as_posix())
        marks.visit(ast.parse(text))
        for rule_id, owner in marks.found:
            if owner not in tests[rule_id]:
                tests[rule_id].append(owner)
    return dict(tests)


def complaints(ids: Iterable[str], *, written: Iterable[str]) -> list[str]:
    """Say what is wrong with the ids of one test; `written` are the ids that stand in the test files as literals."""
    ids, known, literal = set(ids), {rule.id for rule in rules()}, set(written)
    found = [f"rule {one!r} is not in docs/rules" for one in sorted(ids - known)]
    found += [f"rule {one!r} is computed: write it as a literal" for one in sorted((ids & known) - literal)]
    if len(ids) > MOST_IDS_PER_TEST:
        found.append(f"{len(ids)} rules in one test, at most {MOST_IDS_PER_TEST}")
    return found


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a mark the report could not stand on into an error of collection."""
    report = yield
    found: list[str] = []
    for item in report.result or []:
        ids = [one for mark in item.iter_markers("rule") for one in mark.args] if isinstance(item, pytest.Item) else []
        if ids:
            written = shown_by(collector.config.rootpath)
            found += [f"{item.nodeid}: {complaint}" for complaint in complaints(ids, written=written)]
    if found:
        report.outcome = "failed"
        report.longrepr = "\n".join(found)
    return report


def missing() -> list[Rule]:
    """Return the rows with neither a test nor an excuse."""
    return [rule for rule in rules() if not rule.excuse and rule.id not in shown_by()]


def _report(only_missing: bool) -> Iterator[tuple[str, list[Rule]]]:
    """Yield the title and the rows of each chapter that has something to show."""
    wanted = {rule.id for rule in (missing() if only_missing else rules())}
    for chapter in chapters():
        if shown := [rule for rule in chapter.rule if rule.id in wanted]:
            yield chapter.title, shown


def _plain(only_missing: bool) -> Iterator[str]:
    for title, shown in _report(only_missing):
        yield f"\n{title}"
        for rule in shown:
            tests = shown_by().get(rule.id, [])
            first, *others = tests or ([f"excused: {rule.excuse}"] if rule.excuse else [f"MISSING: {rule.rule}"])
            yield f"  {rule.id:8}{rule.level:12}{first}"
            yield from (f"  {'':20}{other}" for other in others)


def _markdown(only_missing: bool) -> Iterator[str]:
    for title, shown in _report(only_missing):
        yield f"\n## {title}\n\n| id | level | rule | shown by |\n|---|---|---|---|"
        for rule in shown:
            tests = "<br>".join(f"`{test}`" for test in shown_by().get(rule.id, []))
            evidence = tests or (f"excused: {rule.excuse}" if rule.excuse else "**missing**")
            yield f"| {rule.id} | {rule.level} | {rule.rule} | {evidence} |"


def main() -> int:
    """Print the report; 1 if a row has neither a test nor an excuse."""
    parser = argparse.ArgumentParser(prog="scripts/rules", description="Each rule of docs/rules with its tests.")
    parser.add_argument("--missing", action="store_true", help="only rows with neither a test nor an excuse")
    parser.add_argument("--markdown", action="store_true", help="as tables")
    arguments = parser.parse_args()
    for line in (_markdown if arguments.markdown else _plain)(arguments.missing):
        print(line)
    excused = sum(bool(rule.excuse) for rule in rules())
    shown = len(rules()) - excused - len(missing())
    print(f"\n{len(rules())} rules: {shown} shown by tests, {excused} excused, {len(missing())} missing")
    return 1 if missing() else 0


if __name__ == "__main__":
    sys.exit(main())
