"""What of a verified presentation becomes evidence, and how long it stays it."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from app.document.model import FromPresentation, PresentationStep, TenantDocument
from app.interaction.evidence import Presented
from app.interaction.plan import Plan, make_plan
from app.interaction.presented import is_still_trusted, judge
from app.protocol.presentation import Expected, VerifiedPresentation, VpToken
from app.protocol.refusal import Refusal
from app.protocol.strict_json import Malformed
from app.protocol.trust import CertifiedIssuers, KnownIssuer, TrustedIssuers
from tests.support.documents import university

STEP = PresentationStep(id="present", presentation="name")
KNOWN: dict[str, Any] = {"type": "jwks", "issuer": "https://pid.example", "keys": [{"kty": "EC"}], "tenant": None}
OTHER: dict[str, Any] = {"type": "jwks", "issuer": "https://other.example", "keys": [{"kty": "EC"}]}


def document(
    *, claims: list[dict[str, Any]] | None = None, query: dict[str, Any] | None = None, **changes: Any
) -> TenantDocument:
    """Return a university that trusts one known issuer, with another query or claims of the student card."""
    base: dict[str, Any] = {"trust": {"pid-provider": KNOWN, "other": OTHER}}
    if query is not None:
        asked = {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]}, **query}
        base["presentations"] = {"name": {"dcql_query": {"credentials": [asked]}}}
    if claims is not None:
        base["credentials"] = {"student-card": {"claims": claims}}
    return university({**base, **changes})


def verifier(claims: dict[str, Any]) -> Any:
    """Verify whatever is trusted at all as a PID that says this."""

    def verify(
        presentation: str, *, trusted: Sequence[TrustedIssuers], expected: Expected, status_unchecked: bool
    ) -> VerifiedPresentation:
        names = [each.issuer for each in trusted if isinstance(each, KnownIssuer | CertifiedIssuers)]
        if presentation not in names:
            raise Malformed("issuer is not trusted")
        return VerifiedPresentation(
            format="dc+sd-jwt",
            vct="urn:eudi:pid:1",
            issuer=presentation,
            claims={"vct": "urn:eudi:pid:1", **claims},
            holder_jkt="k",
            authority_key_ids=frozenset(),
        )

    return verify


def judged(
    plan: Plan, current: TenantDocument, claims: dict[str, Any], *, by: str = "https://pid.example"
) -> list[Presented]:
    expected = Expected(nonce="n", audiences=("a",), now=0)
    return judge(
        plan,
        STEP,
        VpToken({"pid": [by]}),
        document=current,
        verifiers={"dc+sd-jwt": verifier(claims)},
        expected=expected,
    )


def plan_of(tenant: TenantDocument) -> Plan:
    return make_plan(tenant, ["student-card"], refuse_with="invalid_scope")


def from_pid(*path: str | int | None) -> dict[str, Any]:
    return {
        "path": ["x", *map(str, path)],
        "source": {"from": "presentation", "step": "present", "credential": "pid", "path": list(path)},
    }


def kept(tenant: TenantDocument, claims: dict[str, Any]) -> dict[tuple[Any, ...], Any]:
    [presented] = judged(plan_of(tenant), tenant, claims)
    return {tuple(each.path): each.value for each in presented.values}


@pytest.mark.rule("OUT-03", "DE-10", "A-21")
def test_what_the_plan_does_not_use_is_not_kept() -> None:
    shown = {"given_name": "Erika", "family_name": "Mustermann", "birthdate": "1964-08-12"}
    assert kept(document(), shown) == {("given_name",): "Erika", ("family_name",): "Mustermann"}


@pytest.mark.rule("DE-10", "OUT-03", "J-04")
def test_a_value_that_was_not_asked_for_is_no_answer() -> None:
    """The first set fails by its value, the second holds: then only the second was answered."""
    query = {
        "claims": [
            {"id": "g", "path": ["given_name"], "values": ["Erika"]},
            {"id": "f", "path": ["family_name"]},
        ],
        "claim_sets": [["g", "f"], ["f"]],
    }
    tenant = document(query=query)
    assert kept(tenant, {"given_name": "Max", "family_name": "Power"}) == {("family_name",): "Power"}
    assert kept(tenant, {"given_name": "Erika", "family_name": "M"}) == {
        ("given_name",): "Erika",
        ("family_name",): "M",
    }


def test_members_and_elements_below_what_was_asked_for_are_kept() -> None:
    tenant = document(
        query={"claims": [{"path": ["address"]}, {"path": ["nationalities"]}]},
        claims=[
            from_pid("address", "locality"),
            from_pid("nationalities", None),
            from_pid("nationalities", 1),
            from_pid("nationalities", 7),
            from_pid("nation"),
        ],
    )
    shown = {"address": {"locality": "Köln"}, "nationalities": ["DE", "AT"], "nation": "x"}
    assert kept(tenant, shown) == {
        ("address", "locality"): "Köln",
        ("nationalities", None): ["DE", "AT"],
        ("nationalities", 1): "AT",
    }


@pytest.mark.rule("A-22", "C-29")
@pytest.mark.parametrize(
    ("changes", "by", "accepted"),
    [
        ({}, "https://pid.example", True),
        ({}, "https://other.example", False),
        # Withdrawn: from the document, from the list of the query, with the presentation.
        ({"trust": {"pid-provider": None, "other": OTHER}}, "https://pid.example", False),
        ({"presentations": {"name": {"trust": {"pid": ["other"]}}}}, "https://pid.example", False),
        ({"presentations": {"name": None}}, "https://pid.example", False),
        # Somebody new is not trusted for a query that did not name him.
        ({"presentations": {"name": {"trust": {"pid": ["pid-provider", "other"]}}}}, "https://other.example", False),
        # Another issuer under the name that was pinned is what the name means now.
        ({"trust": {"pid-provider": {**OTHER, "tenant": None}, "other": OTHER}}, "https://other.example", True),
    ],
)
def test_whom_the_current_revision_and_the_plan_both_name_is_trusted(
    changes: dict[str, Any], by: str, accepted: bool
) -> None:
    plan, current = plan_of(document()), document(**changes)
    person = {"given_name": "E", "family_name": "M"}
    if accepted:
        assert [each.issuer for each in judged(plan, current, person, by=by)] == [by]
        return
    with pytest.raises(Refusal) as refused:
        judged(plan, current, person, by=by)
    assert refused.value.code == "access_denied"


@pytest.mark.rule("C-29")
@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({}, True),
        ({"trust": {"pid-provider": KNOWN, "other": None}}, True),
        ({"presentations": {"pid": {"trust": {"pid": ["other"]}}}}, True),
        ({"presentations": {"name": {"trust": {"pid": ["other", "pid-provider"]}}}}, True),
        ({"trust": {"pid-provider": None, "other": OTHER}}, False),
        ({"trust": {"pid-provider": {**KNOWN, "issuer": "https://new.example"}, "other": OTHER}}, False),
        ({"trust": {"pid-provider": {**KNOWN, "keys": [{"kty": "OKP"}]}, "other": OTHER}}, False),
        ({"presentations": {"name": {"trust": {"pid": ["other"]}}}}, False),
        ({"presentations": {"name": None}}, False),
    ],
)
def test_a_presentation_counts_as_long_as_its_trust_is_what_it_was(changes: dict[str, Any], stays: bool) -> None:
    [presented] = judged(plan_of(document()), document(), {"given_name": "E", "family_name": "M"})
    assert is_still_trusted(document(**changes), [presented.trusted]) is stays
    assert is_still_trusted(document(**changes), [])
    assert msgspec.json.decode(msgspec.json.encode(presented), type=Presented) == presented


def test_a_source_of_another_query_takes_nothing() -> None:
    source = FromPresentation(step="present", credential="other", path=["given_name"])
    tenant = document(claims=[{"path": ["x"], "source": msgspec.to_builtins(source)}])
    assert kept(tenant, {"given_name": "E", "family_name": "M"}) == {}
