"""Makes DCQL queries and credentials that meet often enough to be worth judging.

What the two judgements are known to see differently (`dcql_differences.py`) is not made: claims that are null, arrays
of elements of several kinds, and in answers paths with an index.
"""

from random import Random
from typing import Any

Case = dict[str, Any]
"""A query, and the `credentials` a holder has or the `presentations` that answer it."""

NAMES = ["a", "b", "c"]
SCALARS = ["x", "X", "1", "true", "", 0, 1, 2, -1, 1.5, True, False]
VALUES = [value for value in SCALARS if not isinstance(value, float)]
TYPES = ["urn:one", "urn:two", "urn:one:more"]
KEY_IDS = ["AAAA", "AAAB", "_-8"]

Shape = dict[str, Any] | list[Any] | None
"""What claims look like: members, elements, or a scalar."""


def credential_case(random: Random) -> Case:
    """Return a query for one credential, and credentials."""
    shape = _members(random, 3)
    query = _query(random, "q", shape, most_claims=3, indexes=True)
    return {"query": {"credentials": [query]}, "credentials": [_credential(random, shape) for _ in range(4)]}


def token_case(random: Random) -> Case:
    """Return a query, and presentations that answer it, more or less."""
    shape = _members(random, 2)
    ids = [f"q{number}" for number in range(random.randint(1, 4))]
    query: dict[str, Any] = {"credentials": [_query(random, each, shape, most_claims=2) for each in ids]}
    if random.random() < 0.6:
        query["credential_sets"] = [_set(random, ids) for _ in range(random.randint(1, 3))]
    answered = [each for each in ids if random.random() < 0.85] or ids[:1]
    if random.random() < 0.03:
        answered.append("unknown")
    presentations = {
        each: [_credential(random, shape) for _ in range(random.choices([0, 1, 2], [1, 25, 3])[0])] for each in answered
    }
    return {"query": query, "presentations": presentations}


def _members(random: Random, depth: int) -> dict[str, Any]:
    return {name: _shape(random, depth - 1) for name in NAMES}


def _shape(random: Random, depth: int) -> Shape:
    kind = random.choice(["scalar", "scalar", "object", "array"]) if depth else "scalar"
    if kind == "object":
        return _members(random, depth)
    return [_shape(random, depth - 1)] if kind == "array" else None


def _claims(random: Random, shape: Shape) -> Any:
    """Return claims of a shape; members are missing now and then, arrays are of any length."""
    match shape:
        case dict():
            return {name: _claims(random, each) for name, each in shape.items() if random.random() < 0.9}
        case [element]:
            # Without elements there is nothing to say of them.
            return [_claims(random, element) for _ in range(random.randint(1, 3))]
        case _:
            return random.choice(SCALARS)


def _credential(random: Random, shape: Shape) -> dict[str, Any]:
    return {
        "credential_format": random.choices(["dc+sd-jwt", "vc+sd-jwt"], [30, 1])[0],
        "vct": random.choices(TYPES, [20, 1, 1])[0],
        "claims": _claims(random, shape),
        "cryptographic_holder_binding": True,
        **({"authority": _authority(random)} if random.random() < 0.8 else {}),
    }


def _authority(random: Random) -> dict[str, Any]:
    return {"type": "aki", "values": random.sample(KEY_IDS, random.randint(1, 2))}


def _query(random: Random, query_id: str, shape: Shape, *, most_claims: int, indexes: bool = False) -> dict[str, Any]:
    claims = [
        _claims_query(random, f"c{number}", shape, indexes=indexes) for number in range(random.randint(1, most_claims))
    ]
    ids = [claim["id"] for claim in claims]
    query: dict[str, Any] = {
        "id": query_id,
        "format": "dc+sd-jwt",
        "meta": {"vct_values": random.sample(TYPES, random.randint(1, 2)) if random.random() < 0.3 else TYPES[:1]},
        "multiple": random.random() < 0.4,
    }
    if random.random() < 0.85:
        query["claims"] = claims
        if random.random() < 0.4:
            query["claim_sets"] = [random.sample(ids, random.randint(1, len(ids))) for _ in range(random.randint(1, 3))]
    if random.random() < 0.1:
        query["trusted_authorities"] = [_authority(random) for _ in range(random.randint(1, 2))]
    return query


def _claims_query(random: Random, claim_id: str, shape: Shape, *, indexes: bool) -> dict[str, Any]:
    query: dict[str, Any] = {"id": claim_id, "path": _path(random, shape, indexes=indexes)}
    if random.random() < 0.2:
        query["values"] = random.sample(VALUES, random.randint(1, len(VALUES)))
    return query


def _path(random: Random, shape: Shape, *, indexes: bool) -> list[str | int | None]:
    """Return a path that mostly follows the shape."""
    path: list[str | int | None] = []
    while not path or (shape is not None and random.random() < 0.8):
        inside: list[str | int | None] = [None, 0, 1, 2] if indexes else [None]
        component = random.choice([*NAMES] if isinstance(shape, dict) else inside)
        shape = shape[str(component)] if isinstance(shape, dict) else shape[0] if isinstance(shape, list) else None
        path.append(component)
    if random.random() < 0.1:
        path.append(random.choice([*NAMES, None, *([0] if indexes else [])]))
    return path


def _set(random: Random, ids: list[str]) -> dict[str, Any]:
    options = [random.sample(ids, random.randint(1, len(ids))) for _ in range(random.randint(1, 3))]
    return {"options": options, "required": random.random() < 0.7}
