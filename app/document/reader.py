"""YAML or JSON text to a `TenantDocument`: everything structural that is wrong, at once.

JSON Schema finds all of it and says where; `msgspec.convert` is the last, strict door. Sense is `app.document_rules`.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from jsonschema import Draft202012Validator, ValidationError, validators
from msgspec import Struct

from app.document import source
from app.document.model import TenantDocument
from app.document.problem import Finding, Path, Position
from app.document.schema import validation_schema

MAX_FINDINGS: Final = 100

_KINDS: Final = {
    "string": ("text", "Write text; what looks like a number, a truth value or nothing goes in quotes."),
    "integer": ("a whole number", "Write digits only, without quotes."),
    "number": ("a number", "Write digits only, without quotes."),
    "boolean": ("true or false", "Write `true` or `false`, without quotes."),
    "array": ("a list", "Write each item on a line of its own that begins with `- `, or all of them within [ ]."),
    "object": ("a mapping", "Write `name: value` lines, indented below the name."),
}


_NOTHING: Final = {"type": "null"}


class Reading(Struct, frozen=True):
    """A document, or None and the findings that say why not; where everything is in the text."""

    document: TenantDocument | None
    findings: list[Finding]
    positions: dict[Path, Position]


def read(data: bytes) -> Reading:
    """Read one document; raises nothing, whatever the octets."""
    text = source.parse(data)
    findings = list(text.findings)
    if text.tree is not None or not findings:
        # What the text was refused for already need not be refused again for what was made of it.
        refused = {finding.path for finding in findings}
        findings += dict.fromkeys(finding for finding in _structural(text.tree) if finding.path not in refused)
    if findings:
        return Reading(None, findings[:MAX_FINDINGS], text.positions)
    try:
        return Reading(msgspec.convert(text.tree, TenantDocument), [], text.positions)
    except msgspec.ValidationError as error:
        return Reading(None, [Finding((), f"The document does not fit: {error}.", "Correct it.")], text.positions)


def _structural(tree: Any) -> Iterator[Finding]:
    for error in islice(_VALIDATOR.iter_errors(tree), MAX_FINDINGS):
        yield from _explain(error)


def _explain(error: ValidationError) -> Iterator[Finding]:
    path: Path = tuple(error.absolute_path)
    instance: Any = error.instance
    limit: Any = error.validator_value
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    if "propertyNames" in error.absolute_schema_path:
        yield Finding((*path, instance), "The name is not allowed.", f"Use {schema.get('description', limit)}.")
        return
    match error.validator:
        case "type":
            kind, hint = _KINDS[limit]
            if members := _members(schema):
                hint = f"{hint} Known here: {', '.join(members)}."
            nothing = instance is None
            yield Finding(path, f"This must be {kind}{', but nothing is given' if nothing else ''}.", hint)
        case "required":
            for name in limit:
                if name not in instance:
                    yield Finding(path, f"`{name}` is missing.", f"Add `{name}: …` here.")
        case "additionalProperties":
            known = _members(schema)
            for name in instance:
                if name not in schema["properties"]:
                    hint = _nearest(name, known) or f"Known here: {', '.join(known)}."
                    yield Finding((*path, name), "This member is unknown.", hint)
        case "enum":
            yield Finding(
                path, f"This must be {_one_of(limit)}.", _nearest(instance, limit) or "Nothing else is known here."
            )
        case "pattern":
            words = schema.get("description", f"text that matches {limit}")
            yield Finding(path, "This is not in the right form.", f"Use {words}.")
        case "minLength":
            yield Finding(path, "This must not be empty.", "Write something here, or leave the member out.")
        case "maxLength":
            yield Finding(path, f"This is longer than {limit} characters.", "Shorten it.")
        case "minItems" | "minProperties" if limit == 1:
            yield Finding(path, "This must not be empty.", "Give at least one.")
        case "minItems" | "minProperties":
            yield Finding(path, f"This has fewer than {limit} items.", f"Give {limit}.")
        case "maxItems" | "maxProperties":
            yield Finding(path, f"This has more than {limit} items.", "Leave some out.")
        case "minimum":
            yield Finding(path, f"This must be {limit} or more.", f"Give {_range(schema)}.")
        case "maximum":
            yield Finding(path, f"This must be {limit} or less.", f"Give {_range(schema)}.")
        case "anyOf":
            yield Finding(path, "This is of the wrong kind.", f"Use {schema['description']}.")
        case other:
            yield Finding(path, f"This does not fit the schema ({other}).", "See `vestibule tenant schema`.")


def _members(schema: Mapping[str, Any]) -> list[str]:
    """Return the members a mapping may be written with, which leaves out those that the service writes."""
    return sorted(name for name, member in schema.get("properties", {}).items() if not member.get("readOnly"))


def _nearest(name: Any, known: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(str(name)[:100], known, n=1, cutoff=0.6)
    return f"Did you mean `{near[0]}`?" if near else None


def _one_of(values: list[str]) -> str:
    return " or ".join(f"`{value}`" for value in values)


def _range(schema: Mapping[str, Any]) -> str:
    return f"a value from {schema['minimum']} to {schema['maximum']}"


def _branch(validator: Any, branches: list[dict[str, Any]], instance: Any, schema: dict[str, Any]) -> Iterator[Any]:
    """Judge `anyOf` by the branch that is meant: the one its tag names, or the one the value looks like.

    Plain JSON Schema would only say that none of the branches fits.
    """
    if tagged := schema.get("discriminator"):
        tag, mapping = tagged["propertyName"], tagged["mapping"]
        if not isinstance(instance, dict) or tag not in instance:
            yield from validator.descend(instance, {"type": "object", "required": [tag]})
        elif not isinstance(instance[tag], str) or instance[tag] not in mapping:
            yield from validator.descend(instance[tag], {"enum": list(mapping)}, path=tag)
        else:
            yield from validator.descend(instance, {"$ref": mapping[instance[tag]]})
        return
    if instance is None and _NOTHING in branches:
        return
    others = [branch for branch in branches if branch != _NOTHING]
    meant = others if len(others) == 1 else [branch for branch in others if _looks_like(validator, instance, branch)]
    if meant:
        yield from validator.descend(instance, meant[0])
    else:
        yield ValidationError("no branch is of this kind")


def _looks_like(validator: Any, instance: Any, branch: Mapping[str, Any]) -> bool:
    """Whether a value is a word of an enumeration, a list of what looks like its items, or of the branch's kind."""
    if "enum" in branch:
        return instance in branch["enum"]
    if "items" in branch:
        return isinstance(instance, list) and all(_looks_like(validator, each, branch["items"]) for each in instance)
    # A reference, or several by a tag: a mapping.
    return bool(validator.is_type(instance, branch.get("type", "object")))


def _is_integer(_checker: Any, instance: Any) -> bool:
    """JSON Schema calls 1.0 an integer; the strict door does not."""
    return isinstance(instance, int) and not isinstance(instance, bool)


_VALIDATOR: Final = validators.extend(  # type: ignore[no-untyped-call]  # jsonschema annotates it in part only
    Draft202012Validator,
    {"anyOf": _branch},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)(validation_schema())
