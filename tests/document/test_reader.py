"""Structural problems: each found, all at once, with its place and what to do."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.document import source
from app.document.model import TenantDocument
from app.document.problem import locate
from app.document.reader import MAX_FINDINGS, read
from app.document_rules.rules import Surroundings
from app.document_rules.validation import validate

CONFIG = {file.stem: file.read_bytes() for file in (Path(__file__).parents[2] / "config/tenants").glob("*.yaml")}
"""The documents of the demonstration, by tenant."""
EXAMPLE = CONFIG["pid-provider"]

MINIMAL = """\
schema: vestibule.tenant/1
tenant:
  slug: acme
  display:
    - name: Acme
credentials:
  badge:
    format: dc+sd-jwt
    vct: urn:acme:badge
    scope: badge
    sequence: web
    display:
      - name: Badge
    claims:
      - path: [name]
        source: {from: user}
sequences:
  web:
    steps:
      - {type: login, id: login}
"""


def problems(text: str) -> list[tuple[str, int, int, str, str]]:
    reading = read(text.encode())
    assert (reading.document is None) == bool(reading.findings)
    return [
        (problem.path, problem.line, problem.column, problem.message, problem.hint)
        for problem in locate(reading.findings, reading.positions)
    ]


def test_a_minimal_document_is_read() -> None:
    reading = read(MINIMAL.encode())
    assert reading.document is not None
    assert reading.document.tenant.slug == "acme"
    assert reading.document.dpop.tokens == "required"


MAPPING_HINT = "Write `name: value` lines, indented below the name."

SAME_PERSON_HINT = "Use a list of pairs of values that must be equal, or `unchecked`."

WRONG: list[tuple[str, str, tuple[str, int, int, str, str]]] = [
    (
        "schema: vestibule.tenant/1",
        "schema: vestibule.tenant/9",
        ("schema", 1, 1, "This must be `vestibule.tenant/1`.", "Did you mean `vestibule.tenant/1`?"),
    ),
    (
        "slug: acme",
        "slug: Acme Ltd",
        ("tenant.slug", 3, 3, "This is not in the right form.", "Use 1 to 63 lower-case letters, digits and hyphens."),
    ),
    (
        "slug: acme",
        'slug: "acme\\n"',
        ("tenant.slug", 3, 3, "This is not in the right form.", "Use 1 to 63 lower-case letters, digits and hyphens."),
    ),
    (
        "slug: acme",
        "slug: 42",
        (
            "tenant.slug",
            3,
            3,
            "This must be text.",
            "Write text; what looks like a number, a truth value or nothing goes in quotes.",
        ),
    ),
    (
        "    scope: badge\n",
        "    scopes: badge\n    scope: badge\n",
        ("credentials.badge.scopes", 10, 5, "This member is unknown.", "Did you mean `scope`?"),
    ),
    (
        "    scope: badge\n",
        "",
        ("credentials.badge", 7, 3, "`scope` is missing.", "Add `scope: …` here."),
    ),
    (
        "source: {from: user}",
        "source: {from: usr}",
        (
            "credentials.badge.claims[0].source.from",
            16,
            18,
            "This must be `user` or `step` or `constant` or `presentation`.",
            "Did you mean `user`?",
        ),
    ),
    (
        "source: {from: user}",
        "source: {path: [a]}",
        ("credentials.badge.claims[0].source", 16, 9, "`from` is missing.", "Add `from: …` here."),
    ),
    (
        "source: {from: user}",
        "source: user",
        ("credentials.badge.claims[0].source", 16, 9, "This must be a mapping.", MAPPING_HINT),
    ),
    (
        "source: {from: user}",
        "source: {from: step, step: login}",
        ("credentials.badge.claims[0].source", 16, 9, "`path` is missing.", "Add `path: …` here."),
    ),
    (
        "source: {from: user}",
        "source: {from: user, step: login}",
        ("credentials.badge.claims[0].source.step", 16, 30, "This member is unknown.", "Known here: from, path."),
    ),
    (
        "path: [name]",
        "path: []",
        ("credentials.badge.claims[0].path", 15, 9, "This must not be empty.", "Give at least one."),
    ),
    (
        "{type: login, id: login}",
        "{type: confirm, id: c, show_values: yes}",
        (
            "sequences.web.steps[0].show_values",
            20,
            32,
            "This must be true or false.",
            "Write `true` or `false`, without quotes.",
        ),
    ),
    (
        "{type: login, id: login}",
        "{type: logn, id: login}",
        (
            "sequences.web.steps[0].type",
            20,
            10,
            "This must be `login` or `confirm` or `presentation`.",
            "Did you mean `login`?",
        ),
    ),
    (
        "  web:\n    steps:",
        "  my web:\n    steps:",
        (
            'sequences["my web"]',
            18,
            3,
            "The name is not allowed.",
            "Use 1 to 64 letters, digits, underscores and hyphens.",
        ),
    ),
    (
        "sequences:\n",
        "lifetimes: {access_token: 900}\nsequences:\n",
        ("lifetimes.access_token", 17, 13, "This must be 300 or less.", "Give a value from 30 to 300."),
    ),
    (
        "sequences:\n",
        "lifetimes: {access_token: 3}\nsequences:\n",
        ("lifetimes.access_token", 17, 13, "This must be 30 or more.", "Give a value from 30 to 300."),
    ),
    (
        "sequences:\n",
        "lifetimes: {access_token: 60.0}\nsequences:\n",
        (
            "lifetimes.access_token",
            17,
            13,
            "This must be a whole number.",
            "Write digits only, without quotes.",
        ),
    ),
    (
        "      - name: Badge\n",
        "      - name: ''\n",
        (
            "credentials.badge.display[0].name",
            13,
            9,
            "This must not be empty.",
            "Write something here, or leave the member out.",
        ),
    ),
    (
        "      - name: Badge\n",
        f"      - name: {'x' * 201}\n",
        ("credentials.badge.display[0].name", 13, 9, "This is longer than 200 characters.", "Shorten it."),
    ),
    (
        "      - name: Badge\n",
        "      - {name: x, text_color: red}\n",
        (
            "credentials.badge.display[0].text_color",
            13,
            19,
            "This is not in the right form.",
            "Use a colour such as #12107c.",
        ),
    ),
    (
        "path: [name]",
        f"path: {['a'] * 9}",
        ("credentials.badge.claims[0].path", 15, 9, "This has more than 8 items.", "Leave some out."),
    ),
    (
        "    steps:\n",
        "    steps: []\n    step:\n",
        ("sequences.web.steps", 19, 5, "This must not be empty.", "Give at least one."),
    ),
    (
        "format: dc+sd-jwt",
        "format: mso_mdoc",
        ("credentials.badge.format", 8, 5, "This must be `dc+sd-jwt`.", "Nothing else is known here."),
    ),
    (
        "    scope: badge\n",
        "    scope: badge\n    same_person: uncheked\n",
        ("credentials.badge.same_person", 11, 5, "This is of the wrong kind.", SAME_PERSON_HINT),
    ),
    (
        "    scope: badge\n",
        "    scope: badge\n    same_person: [{from: user, path: [a]}, {from: user, path: [b]}]\n",
        ("credentials.badge.same_person", 11, 5, "This is of the wrong kind.", SAME_PERSON_HINT),
    ),
    # What the service writes itself is not offered.
    (
        "sequences:\n",
        "trust: {them: {type: tenant, tenant: them, keys: []}}\nsequences:\n",
        ("trust.them.keys", 17, 44, "This member is unknown.", "Known here: tenant, type."),
    ),
    (
        "  display:\n    - name: Acme\n",
        "  display:\n",
        (
            "tenant.display",
            4,
            3,
            "This must be a list, but nothing is given.",
            "Write each item on a line of its own that begins with `- `, or all of them within [ ].",
        ),
    ),
]


@pytest.mark.parametrize(("before", "after", "problem"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_document(before: str, after: str, problem: tuple[str, int, int, str, str]) -> None:
    assert MINIMAL.count(before) == 1
    assert problem in problems(MINIMAL.replace(before, after))


def test_everything_wrong_is_found_at_once_and_in_order() -> None:
    text = MINIMAL.replace("slug: acme", "slug: Acme!").replace("    vct: urn:acme:badge\n", "    vtc: *x\n")
    text = text.replace("from: user", "from: constant").replace("type: login", "type: login, type: confirm")
    assert [(path, message) for path, _, _, message, _ in problems(text)] == [
        ("tenant.slug", "This is not in the right form."),
        ("credentials.badge", "`vct` is missing."),
        ("credentials.badge.vtc", "Anchors and aliases are not allowed."),
        ("credentials.badge.claims[0].source", "`value` is missing."),
        ("sequences.web.steps[0].type", "`type` is given twice."),
    ]


def test_a_document_of_mistakes_yields_a_bounded_list() -> None:
    assert len(read(MINIMAL.encode() + b"users: [" + b"{x: 1}," * 5000 + b"]").findings) == MAX_FINDINGS


@pytest.mark.parametrize("secret", ["hunter2hunter2", "$argon2id$"])
def test_no_message_repeats_a_password(secret: str) -> None:
    text = MINIMAL + f"users: [{{username: [], password: ['{secret}'], password_hash: 'x{secret}', demo_hint: 3}}]\n"
    found = problems(text)
    assert len(found) == 4
    assert secret not in str(found)


example_trees = [yaml.load(text, Loader=yaml.CSafeLoader) for text in CONFIG.values()]
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def mutate(data: st.DataObject, node: Any) -> Any:
    """Follow a random way down and replace, remove or rename what is there."""
    names = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
    if not names or data.draw(st.integers(0, 4)) == 0:
        return data.draw(junk)
    name = data.draw(st.sampled_from(names))
    if isinstance(node, list):
        return [mutate(data, item) if index == name else item for index, item in enumerate(node)]
    match data.draw(st.sampled_from(["within", "within", "within", "remove", "rename"])):
        case "remove":
            return {other: value for other, value in node.items() if other != name}
        case "rename":
            return {data.draw(st.text()) if other == name else other: value for other, value in node.items()}
        case _:
            return {other: mutate(data, value) if other == name else value for other, value in node.items()}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_mutated_example_is_read_or_has_problems_and_both_doors_agree(data: st.DataObject) -> None:
    try:
        text = msgspec.json.encode(mutate(data, data.draw(st.sampled_from(example_trees))))
    except UnicodeEncodeError:
        return  # a lone surrogate cannot be written down at all
    validated = validate(text, Surroundings("http://localhost:8000", demo=True))
    assert validated.document is not None or validated.problems
    if not source.parse(text).findings:
        assert (read(text).document is not None) == fits(msgspec.json.decode(text))


def fits(tree: Any) -> bool:
    try:
        msgspec.convert(tree, TenantDocument)
    except msgspec.ValidationError:
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_broken_text_never_breaks_the_reader(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(len(EXAMPLE), start + 40)))
    text = EXAMPLE[:start] + data.draw(st.binary(max_size=8)) + EXAMPLE[end:]
    validated = validate(text, Surroundings("http://localhost:8000", demo=True))
    assert validated.document is not None or validated.problems
