"""The published JSON Schema: a schema, and the same law as the structs."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from app.document.model import TenantDocument
from app.document.reader import read
from app.document.schema import tenant_schema
from tests.document.test_reader import CONFIG, MINIMAL, WRONG


def minimal() -> dict[str, Any]:
    tree = yaml.load(MINIMAL, Loader=yaml.CSafeLoader)
    assert isinstance(tree, dict)
    return tree


def test_it_is_a_draft_2020_12_schema_without_a_network_location() -> None:
    schema = tenant_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].startswith("urn:")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert all(part["description"] for part in schema["$defs"].values())


def test_a_union_of_several_kinds_says_what_it_is() -> None:
    """The reader says it to whoever writes another kind."""

    def unions(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            kinds = [branch for branch in node.get("anyOf", []) if branch.get("type") != "null"]
            if len(kinds) > 1 and "discriminator" not in node:
                yield node
        for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            yield from unions(inner)

    found = list(unions(tenant_schema()))
    assert len(found) >= 3
    assert [union for union in found if "description" not in union] == []


def test_it_leaves_out_what_the_service_writes_itself() -> None:
    text = json.dumps(tenant_schema())
    assert '"resolved"' not in text
    referred = set(re.findall(r'"#/\$defs/(\w+)"', text))
    assert referred == tenant_schema()["$defs"].keys()


def test_its_patterns_are_ecma_262() -> None:
    text = json.dumps(tenant_schema())
    assert r"\\Z" not in text
    assert json.dumps(r"^[a-z0-9-]{1,63}$") in text


@pytest.mark.parametrize("tenant", CONFIG)
def test_it_accepts_the_examples(tenant: str) -> None:
    reading = read(CONFIG[tenant])
    assert reading.document is not None
    jsonschema.Draft202012Validator(tenant_schema()).validate(msgspec.to_builtins(reading.document))


@pytest.mark.parametrize("index", range(len(WRONG)))
def test_what_the_reader_refuses_the_strict_door_refuses_too(index: int) -> None:
    before, after, _ = WRONG[index]
    tree = yaml.load(MINIMAL.replace(before, after), Loader=yaml.CSafeLoader)
    if "yes" in after:  # YAML 1.1 in this loader; text for us
        tree["sequences"]["web"]["steps"][0]["show_values"] = "yes"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(tree, TenantDocument)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("tenant", "display", 0, "locale"), "de-AT"),
        (("credentials", "badge", "display", 0, "description"), None),
        (("credentials", "badge", "validity"), 3600),
        (("credentials", "badge", "claims", 0, "source"), {"from": "constant", "value": {"a": [None, 1.5]}}),
        (("credentials", "badge", "claims", 0, "source"), {"from": "user", "path": None}),
        (("users",), [{"username": "a", "password": "b", "claims": {"x": {"y": [1]}}}]),
        (("issuer",), {"origin": None}),
        (("credentials", "badge", "same_person"), "unchecked"),
        (("credentials", "badge", "same_person"), None),
        (("credentials", "badge", "same_person"), [[{"from": "user", "path": ["a"]}, {"from": "user", "path": ["b"]}]]),
        (
            ("credentials", "badge", "claims", 0, "source"),
            {"from": "presentation", "step": "s", "credential": "c", "path": ["a", None, 0]},
        ),
    ],
)
def test_both_accept(path: tuple[str | int, ...], value: object) -> None:
    tree: Any = minimal()
    parent = tree
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = copy.deepcopy(value)
    jsonschema.Draft202012Validator(tenant_schema()).validate(tree)
    assert read(json.dumps(tree).encode()).document == msgspec.convert(tree, TenantDocument)
