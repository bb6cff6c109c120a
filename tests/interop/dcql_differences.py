"""DCQL that two judgements see differently, each with the sentence that decides it; and queries both refuse."""

from typing import Any

from msgspec import Struct

from tests.interop.dcql_cases import Case


def holding(claims: Case, *paths: list[Any], values: list[Any] | None = None) -> Case:
    """Return a holder's case: one credential with these claims."""
    asked = [{"path": path, **({"values": values} if values is not None else {})} for path in paths]
    return {"query": {"credentials": [credential_query(claims=asked)]}, "credentials": [credential(claims)]}


def asking(**members: Any) -> Case:
    """Return a holder's case: is the query one?"""
    return {"query": {"credentials": [credential_query()]} | members, "credentials": [credential({"a": 1})]}


def credential_query(**members: Any) -> Case:
    return {"id": "q", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:one"]}, **members}


def credential(claims: Case) -> Case:
    return {
        "credential_format": "dc+sd-jwt",
        "vct": "urn:one",
        "claims": claims,
        "cryptographic_holder_binding": True,
    }


NO_QUERIES = [
    asking(credentials=[]),
    asking(credentials=None),
    asking(credentials=[credential_query(id="")]),
    asking(credentials=[credential_query(id="a b")]),
    asking(credentials=[credential_query(), credential_query()]),
    asking(credentials=[credential_query(format=None)]),
    asking(credentials=[credential_query(claims=[])]),
    asking(credentials=[credential_query(claims=[{"path": []}])]),
    asking(credentials=[credential_query(claims=[{"path": ["a", -1]}])]),
    asking(credentials=[credential_query(claims=[{"path": ["a", 0.5]}])]),
    asking(credentials=[credential_query(claims=[{"path": [True]}])]),
    asking(credentials=[credential_query(claims=[{"path": ["a"], "values": [1.5]}])]),
    asking(credentials=[credential_query(claims=[{"path": ["a"], "values": [None]}])]),
    asking(credentials=[credential_query(claims=[{"path": ["a"], "id": "a"}], claim_sets=[["b"]])]),
    asking(credentials=[credential_query(claims=[{"path": ["a"], "id": "a"}], claim_sets=[])]),
    asking(credentials=[credential_query(claim_sets=[["a"]])]),
    asking(credentials=[credential_query(trusted_authorities=[])]),
    asking(credential_sets=[]),
    asking(credential_sets=[{"options": []}]),
    asking(credential_sets=[{"options": [["other"]]}]),
]


class Difference(Struct, frozen=True):
    """One thing the library judges otherwise, and why we do not follow."""

    case: Case
    ours: Any
    theirs: Any
    why: str


DIFFERENCES = {
    "an element of another kind, under a name": Difference(
        holding({"a": [{"b": 1}, "text"]}, ["a", None, "b"]),
        [False],
        [True],
        "OpenID4VP §7.1.1 2.1: if any of the currently selected elements is not an object, return an error",
    ),
    "an element of another kind, under null": Difference(
        holding({"a": [[1], "text"]}, ["a", None, None]),
        [False],
        [True],
        "OpenID4VP §7.1.1 2.2: if any of the currently selected elements is not an array, return an error",
    ),
    "an element of another kind, under an index": Difference(
        holding({"a": [[1], "text"]}, ["a", None, 0]),
        [False],
        [True],
        "OpenID4VP §7.1.1 2.3: if any of the currently selected elements is not an array, return an error",
    ),
    "an array has no names": Difference(
        holding({"a": ["x"]}, ["a", "0"], ["a", "length"]),
        [False],
        [True],
        "OpenID4VP §7.1.1 2.1: an element that is not an object is an error",
    ),
    "an object has no names but its own": Difference(
        holding({"a": {}}, ["a", "toString"]),
        [False],
        [True],
        "OpenID4VP §7.1.1 2.1: if the key does not exist in an element, remove that element",
    ),
    "null is a value": Difference(
        holding({"a": None}, ["a"]),
        [True],
        [False],
        "OpenID4VP §7.1.1 2.1: the key exists, and its element is selected",
    ),
    "numbers are exact": Difference(
        holding({"a": 2**53 + 1}, ["a"], values=[2**53]),
        [False],
        [True],
        "OpenID4VP §6.3: type and value both match exactly",
    ),
    "no values": Difference(
        holding({"a": 1}, ["a"], values=[]), "invalid", [False], "OpenID4VP §6.3: a non-empty array"
    ),
    "no meta": Difference(
        asking(credentials=[{"id": "q", "format": "dc+sd-jwt"}]), "invalid", [True], "OpenID4VP §6.1: meta is required"
    ),
    "two claims of one id": Difference(
        asking(credentials=[credential_query(claims=[{"path": ["a"], "id": "a"}, {"path": ["a"], "id": "a"}])]),
        "invalid",
        [True],
        "OpenID4VP §6.3: the same id must not be present more than once",
    ),
    "an option of nothing": Difference(
        asking(credential_sets=[{"options": [[]]}]), "invalid", [True], "OpenID4VP §6.2: each element is non-empty"
    ),
    "an index counts what was disclosed": Difference(
        {**holding({"a": ["y"]}, ["a", 1], values=["y"]), "presentations": {"q": [credential({"a": ["y"]})]}},
        False,
        True,
        "RFC 9901 §7.1 step 3: what is not disclosed is removed, and the rest moves up",
    ),
    "an answer of nothing": Difference(
        {
            "query": {
                "credentials": [credential_query()],
                "credential_sets": [{"options": [["q"]], "required": False}],
            },
            "presentations": {},
        },
        False,
        True,
        "our policy: who presents nothing gets nothing",
    ),
}
