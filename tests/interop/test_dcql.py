"""Our judgement of DCQL beside that of a library that is not ours: they agree, but for what is listed here by name."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from app.document.presentation import Presentation
from app.protocol import base64url, dcql
from app.protocol.presentation import Expected, VerifiedPresentation, VpToken, verify_vp_token
from app.protocol.refusal import Refusal
from app.protocol.strict_json import Malformed
from tests.interop.dcql_cases import Case, credential_case, token_case
from tests.interop.dcql_differences import DIFFERENCES, NO_QUERIES
from tests.interop.node import Node

pytestmark = pytest.mark.interop

MANY = 2_000


def key_ids(credential: Case) -> frozenset[bytes]:
    return frozenset(base64url.decode(value) for value in credential.get("authority", {}).get("values", []))


def satisfied(case: Case) -> list[bool] | str:
    """Return which of the credentials satisfy the first credential query, as a holder finds out."""
    try:
        query = dcql.read_query(case["query"]).credentials[0]
    except Malformed:
        return "invalid"
    return [
        dcql.is_of_type(query, credential_format=credential["credential_format"], vct=credential["vct"])
        and dcql.is_by_authority(query, key_ids(credential))
        and dcql.claims_to_show(query, credential["claims"]) is not None
        for credential in case["credentials"]
    ]


def accepted(case: Case) -> bool:
    """Return whether the presentations are what was asked for, as a verifier judges it."""
    credentials: list[Case] = []

    def verifier(presentation: str, **_: Any) -> VerifiedPresentation:
        credential = credentials[int(presentation)]
        return VerifiedPresentation(
            format=credential["credential_format"],
            vct=credential["vct"],
            issuer="",
            claims=credential["claims"],
            holder_jkt="",
            authority_key_ids=key_ids(credential),
        )

    answers: dict[str, list[str]] = {}
    for query_id, presentations in case["presentations"].items():
        answers[query_id] = [str(len(credentials) + index) for index in range(len(presentations))]
        credentials += presentations
    trust: dict[str, list[str]] = {each["id"]: ["anybody"] for each in case["query"]["credentials"]}
    asked = msgspec.convert({"dcql_query": case["query"], "trust": trust}, Presentation)
    try:
        verify_vp_token(
            VpToken(answers),
            asked,
            trust={},
            verifiers={"dc+sd-jwt": verifier},
            expected=Expected(nonce="", audiences=(), now=0),
        )
    except Refusal:
        return False
    return True


def library(node: Node, cases: Sequence[Case], folder: Path) -> list[Any]:
    """Return what the library says of each case; all of them in one process."""
    file = folder / "cases.json"
    file.write_text(json.dumps(cases), encoding="utf-8")
    judged: list[Any] = node.run("dcql.mjs", {"cases": str(file)})
    return judged


@pytest.mark.parametrize(("make", "judge"), [(credential_case, satisfied), (token_case, accepted)])
def test_the_library_judges_the_same(
    node: Node, tmp_path: Path, make: Callable[[Random], Case], judge: Callable[[Case], Any]
) -> None:
    cases = [make(Random(seed)) for seed in range(MANY)]  # noqa: S311  cases, not secrets
    theirs = library(node, cases, tmp_path)
    ours = [judge(case) for case in cases]
    differing = [case for case, one, other in zip(cases, ours, theirs, strict=True) if one != other]
    assert not differing, f"{len(differing)} of {MANY} differ, such as {json.dumps(differing[0])}"
    # The cases are worth something: many are satisfied, and many are not.
    seen = Counter(each for verdict in ours for each in (verdict if isinstance(verdict, list) else [verdict]))
    assert min(seen[True], seen[False]) > MANY // 10, seen


def test_the_library_refuses_the_same_queries(node: Node, tmp_path: Path) -> None:
    assert [satisfied(case) for case in NO_QUERIES] == ["invalid"] * len(NO_QUERIES)
    assert library(node, NO_QUERIES, tmp_path) == ["invalid"] * len(NO_QUERIES)


def test_the_differences_are_these(node: Node, tmp_path: Path) -> None:
    cases = [each.case for each in DIFFERENCES.values()]
    ours = [accepted(case) if "presentations" in case else satisfied(case) for case in cases]
    theirs = library(node, cases, tmp_path)
    assert dict(zip(DIFFERENCES, zip(ours, theirs, strict=True), strict=True)) == {
        name: (each.ours, each.theirs) for name, each in DIFFERENCES.items()
    }
