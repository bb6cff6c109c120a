"""The plan of a session, and where a credential's claims come from."""

from typing import Any

import pytest

from app.document.model import (
    Claim,
    ClaimSource,
    ConfirmStep,
    FromConstant,
    FromPresentation,
    FromStep,
    FromUser,
    LoginStep,
    PresentationStep,
)
from app.interaction.evidence import Evidence, Presented, PresentedValue, Trusted
from app.interaction.plan import ClaimValue, PlannedCredential, collect_claims, is_web_step, make_plan
from app.protocol.refusal import Refusal
from tests.support.documents import document

USER = {"given_name": "Erika", "address": {"locality": "Köln", "street": None}, "nationalities": ["DE"], "age": 0}
EVIDENCE = Evidence(
    results={"check": {"level": {"name": "high"}}},
    presented=[
        Presented(
            step="show",
            query="pid",
            issuer="https://pid.example",
            vct="urn:eudi:pid:1",
            holder_jkt="k",
            trusted=Trusted(presentation="pid", query="pid", names=["ca"], digest="d"),
            values=[
                PresentedValue(["birthdate"], "1964-08-12"),
                PresentedValue(["nationalities", None], ["DE", "AT"]),
                PresentedValue(["nationalities", 0], "DE"),
            ],
        )
    ],
)


def collect(*claims: Claim) -> list[ClaimValue]:
    credential = PlannedCredential(configuration_id="pid", name="PID", claims=list(claims))
    return collect_claims(credential, user_claims=USER, evidence=EVIDENCE)


def claim(*path: str, source: ClaimSource | None = None, mandatory: bool = False) -> Claim:
    return Claim(path=list(path), source=source or FromUser(), mandatory=mandatory)


@pytest.mark.rule("AZ-24")
def test_a_plan_holds_the_steps_of_the_shared_sequence_and_every_credential_in_the_order_asked() -> None:
    tenant = document()
    plan = make_plan(tenant, ["residence", "pid"], refuse_with="invalid_scope")
    assert [type(step) for step in plan.steps] == [LoginStep, ConfirmStep]
    assert [(one.configuration_id, one.name) for one in plan.credentials] == [
        ("residence", "Proof of residence"),
        ("pid", "Personal ID"),
    ]
    assert plan.credentials[1].claims == tenant.credentials["pid"].claims


@pytest.mark.parametrize("code", ["invalid_scope", "invalid_authorization_details"])
def test_credentials_of_different_sequences_are_not_issued_in_one_session(code: str) -> None:
    # Alike in content, but not the same: what is asked of the person would depend on the order of names.
    same_steps = {"steps": [{"type": "login", "id": "login"}]}
    tenant = document({"sequences": {"login": same_steps}, "credentials": {"residence": {"sequence": "login"}}})
    with pytest.raises(Refusal) as refused:
        make_plan(tenant, ["pid", "residence"], refuse_with=code)
    assert refused.value.code == code


def test_a_browser_carries_sign_in_and_confirmation() -> None:
    assert is_web_step(LoginStep(id="login"))
    assert is_web_step(ConfirmStep(id="confirm"))
    assert not is_web_step(PresentationStep(id="show", presentation="pid"))


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (claim("given_name"), "Erika"),
        (claim("address", "locality"), "Köln"),
        (claim("address"), {"locality": "Köln", "street": None}),
        (claim("age"), 0),
        (claim("city", source=FromUser(path=["address", "locality"])), "Köln"),
        (claim("level", source=FromStep(step="check", path=["level", "name"])), "high"),
        (claim("country", source=FromConstant(value="DE")), "DE"),
        (claim("birthdate", source=FromPresentation(step="show", credential="pid")), "1964-08-12"),
        (claim("born", source=FromPresentation(step="show", credential="pid", path=["birthdate"])), "1964-08-12"),
        (
            claim("citizen", source=FromPresentation(step="show", credential="pid", path=["nationalities", None])),
            ["DE", "AT"],
        ),
        (claim("first", source=FromPresentation(step="show", credential="pid", path=["nationalities", 0])), "DE"),
        (claim("is_test", source=FromConstant(value=False), mandatory=True), False),
    ],
)
def test_a_claim_is_taken_from_its_source(wanted: Claim, value: Any) -> None:
    assert collect(wanted) == [ClaimValue(tuple(wanted.path), value, "selective")]


NOTHING_THERE = [
    claim("birthdate"),
    claim("address", "street"),
    claim("given_name", "first"),
    claim("nationalities", "0"),
    claim("given_name", source=FromUser(path=["absent"])),
    claim("level", source=FromStep(step="absent", path=["level"])),
    claim("level", source=FromStep(step="check", path=["level", "absent"])),
    claim("birthdate", source=FromPresentation(step="other", credential="pid")),
    claim("birthdate", source=FromPresentation(step="show", credential="other")),
    claim("given_name", source=FromPresentation(step="show", credential="pid")),
]


@pytest.mark.parametrize("wanted", NOTHING_THERE)
def test_a_claim_without_a_value_is_left_out(wanted: Claim) -> None:
    given = claim("given_name")
    assert [one.path for one in collect(wanted, given)] == [("given_name",)]


@pytest.mark.parametrize("wanted", NOTHING_THERE)
def test_a_mandatory_claim_without_a_value_ends_the_session(wanted: Claim) -> None:
    with pytest.raises(Refusal) as refused:
        collect(claim(*wanted.path, source=wanted.source, mandatory=True))
    assert refused.value.code == "access_denied"
    assert "birthdate" not in refused.value.public


def test_disclosure_is_the_configurations() -> None:
    always = Claim(path=["given_name"], source=FromUser(), disclosure="always")
    assert [one.disclosure for one in collect(always)] == ["always"]
