"""Who is who: claims of several steps are of one person, and the credential goes to the key that presented."""

from typing import Any

import pytest

from app.document.model import Claim, FromConstant, FromPresentation, FromStep, FromUser, HolderBindingMode
from app.interaction.evidence import Evidence, Presented, PresentedValue, Trusted
from app.interaction.holder import check_holder_key, check_same_person, holder_binding
from app.interaction.plan import HolderBinding, Plan, PlannedCredential
from app.protocol.refusal import Refusal

PID_NAME = FromPresentation(step="show", credential="pid", path=["family_name"])
CARD_NAME = FromPresentation(step="show", credential="card", path=["name"])
USER_NAME = FromUser(path=["family_name"])
SIGNED_IN = FromStep(step="login", path=["username"])


def plan(
    *sources: Any, same_person: Any = None, mode: HolderBindingMode | None = "same_key", credentials: int = 1
) -> Plan:
    claims = [Claim(path=[f"c{index}"], source=source) for index, source in enumerate(sources)]
    planned = [PlannedCredential(f"credential-{index}", "C", claims, same_person) for index in range(credentials)]
    return Plan(steps=[], credentials=planned, holder_binding=mode)


def presented(query: str, key: str, **values: Any) -> Presented:
    return Presented(
        step="show",
        query=query,
        issuer="https://issuer.example",
        vct=f"urn:{query}",
        holder_jkt=key,
        trusted=Trusted(presentation="p", query=query, names=["ca"], digest="d"),
        values=[PresentedValue([name], value) for name, value in values.items()],
    )


def evidence(*shown: Presented) -> Evidence:
    return Evidence(presented=list(shown), results={"login": {"username": "erika"}})


def mismatch(plan: Plan, evidence: Evidence, *, finished: bool = True, **user_claims: Any) -> str | None:
    """Return the refusal's code, None where it is one person."""
    try:
        check_same_person(plan, evidence, user_claims=user_claims, finished=finished)
    except Refusal as refusal:
        return refusal.code
    return None


@pytest.mark.rule("A-18")
@pytest.mark.parametrize(
    ("shown", "signed_in", "verdict"),
    [
        ("Mustermann", "Mustermann", None),
        ("Mustermann", "Power", "access_denied"),
        ("Mustermann", "mustermann", "access_denied"),
        (1, True, "access_denied"),
        (1, 1.0, "access_denied"),
        (1, "1", "access_denied"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, None),
        ({"a": 1}, {"a": True}, "access_denied"),
        (["x", "y"], ["y", "x"], "access_denied"),
        (None, "Power", "access_denied"),
    ],
)
def test_claims_that_must_be_equal_are_compared_exactly(shown: Any, signed_in: Any, verdict: str | None) -> None:
    linked = plan(PID_NAME, FromUser(), same_person=[[PID_NAME, USER_NAME]])
    assert mismatch(linked, evidence(presented("pid", "k1", family_name=shown)), family_name=signed_in) == verdict


@pytest.mark.rule("A-18")
def test_every_pair_of_every_credential_counts() -> None:
    pairs = [
        [PID_NAME, USER_NAME],
        [FromPresentation(step="show", credential="pid", path=["born"]), FromUser(path=["born"])],
    ]
    shown = evidence(presented("pid", "k1", family_name="Mustermann", born="1964"))
    two = plan(PID_NAME, FromUser(), same_person=pairs, credentials=2)
    assert mismatch(two, shown, family_name="Mustermann", born="1964") is None
    assert mismatch(two, shown, family_name="Mustermann", born="1965") == "access_denied"


def test_what_is_not_known_yet_is_no_mismatch_until_the_end() -> None:
    linked = plan(PID_NAME, FromUser(), same_person=[[PID_NAME, USER_NAME]])
    shown = evidence(presented("pid", "k1", family_name="Mustermann"))
    assert mismatch(linked, shown, finished=False) is None
    assert mismatch(linked, shown, finished=True) == "access_denied"


def test_a_step_result_can_be_linked() -> None:
    linked = plan(PID_NAME, SIGNED_IN, same_person=[[PID_NAME, SIGNED_IN]])
    assert mismatch(linked, evidence(presented("pid", "k1", family_name="erika"))) is None
    assert mismatch(linked, evidence(presented("pid", "k1", family_name="max"))) == "access_denied"


@pytest.mark.rule("A-09", "DE-19")
@pytest.mark.parametrize("same_person", [None, "unchecked"])
@pytest.mark.parametrize("mode", ["same_key", "unlinked"])
def test_presentations_by_two_keys_are_not_of_one_person(same_person: Any, mode: HolderBindingMode) -> None:
    mixed = plan(PID_NAME, CARD_NAME, same_person=same_person, mode=mode)
    pid, card = presented("pid", "k1", family_name="Mustermann"), presented("card", "k1", name="Mustermann")
    stranger = presented("card", "k2", name="Mustermann")
    assert mismatch(mixed, evidence(pid, card)) is None
    assert mismatch(mixed, evidence(pid, stranger)) == "access_denied"
    assert mismatch(mixed, evidence(pid, stranger), finished=False) == "access_denied"


@pytest.mark.rule("A-09")
def test_a_presentation_no_claim_comes_from_needs_the_same_key_too() -> None:
    only_pid = plan(PID_NAME)
    assert mismatch(only_pid, evidence(presented("pid", "k1"), presented("card", "k2"))) == "access_denied"


def test_named_claims_link_presentations_of_two_keys() -> None:
    linked = plan(PID_NAME, CARD_NAME, same_person=[[PID_NAME, CARD_NAME]])
    pid = presented("pid", "k1", family_name="Mustermann")
    assert mismatch(linked, evidence(pid, presented("card", "k2", name="Mustermann"))) is None
    assert mismatch(linked, evidence(pid, presented("card", "k2", name="Power"))) == "access_denied"


def test_links_lead_on_by_the_person_who_signed_in_and_by_keys() -> None:
    by_person = plan(PID_NAME, CARD_NAME, same_person=[[PID_NAME, USER_NAME], [USER_NAME, CARD_NAME]])
    pid, card = presented("pid", "k1", family_name="M"), presented("card", "k2", name="M")
    assert mismatch(by_person, evidence(pid, card), family_name="M") is None
    # A third by the card's key hangs on the card; one by a key of its own hangs on nothing.
    assert mismatch(by_person, evidence(pid, card, presented("third", "k2")), family_name="M") is None
    assert mismatch(by_person, evidence(pid, card, presented("third", "k3")), family_name="M") == "access_denied"
    only_pid = plan(PID_NAME, CARD_NAME, same_person=[[PID_NAME, USER_NAME]])
    assert mismatch(only_pid, evidence(pid, card), family_name="M") == "access_denied"


@pytest.mark.rule("A-09", "DE-19")
def test_one_query_answered_by_two_keys_links_nothing() -> None:
    """Else whoever answers it twice would join what he presents to what somebody else does."""
    linked = plan(PID_NAME, CARD_NAME, same_person=[[PID_NAME, CARD_NAME]])
    mine, theirs = presented("many", "k1"), presented("many", "k2")
    assert mismatch(plan(PID_NAME), evidence(mine, theirs)) == "access_denied"
    pid, card = presented("pid", "k1", family_name="M"), presented("card", "k2", name="M")
    assert mismatch(linked, evidence(pid, card)) is None
    assert mismatch(linked, evidence(pid, card, mine, theirs)) == "access_denied"
    assert mismatch(linked, evidence(pid, mine, presented("many", "k1"))) == "access_denied"
    assert mismatch(plan(PID_NAME), evidence(pid, mine, presented("many", "k1"))) is None


def test_a_link_by_somebody_who_has_yet_to_sign_in_is_waited_for() -> None:
    later = plan(PID_NAME, CARD_NAME, same_person=[[PID_NAME, USER_NAME], [CARD_NAME, USER_NAME]])
    shown = evidence(presented("pid", "k1", family_name="M"), presented("card", "k2", name="M"))
    assert mismatch(later, shown, finished=False) is None
    assert mismatch(later, shown) == "access_denied"
    assert mismatch(later, shown, family_name="M") is None


@pytest.mark.rule("OUT-02")
def test_the_binding_names_who_showed_the_claims() -> None:
    shown = evidence(presented("pid", "k1"), presented("card", "k2"))
    bound = holder_binding(plan(PID_NAME), plan(PID_NAME).credentials[0], shown)
    assert bound is not None
    assert [(each.query, each.issuer, each.vct, each.holder_jkt) for each in bound.presented] == [
        ("pid", "https://issuer.example", "urn:pid", "k1")
    ]


def test_where_no_claim_is_presented_everybody_who_presented_counts() -> None:
    constant = plan(FromConstant(value="x"))
    bound = holder_binding(constant, constant.credentials[0], evidence(presented("pid", "k1"), presented("card", "k1")))
    assert bound is not None
    assert [each.query for each in bound.presented] == ["pid", "card"]


def test_where_what_the_claims_come_from_was_not_presented_everybody_counts() -> None:
    bound = holder_binding(plan(PID_NAME), plan(PID_NAME).credentials[0], evidence(presented("card", "k1")))
    assert bound is not None
    assert [each.holder_jkt for each in bound.presented] == ["k1"]


def test_without_a_presentation_there_is_nothing_to_bind_to() -> None:
    assert holder_binding(plan(USER_NAME, mode=None), plan(USER_NAME).credentials[0], evidence()) is None


def binding(mode: HolderBindingMode, *keys: str) -> HolderBinding:
    shown = evidence(*(presented(f"q{index}", key) for index, key in enumerate(keys)))
    constant = plan(FromConstant(value="x"), mode=mode)
    bound = holder_binding(constant, constant.credentials[0], shown)
    assert bound is not None
    return bound


@pytest.mark.rule("A-01")
@pytest.mark.parametrize(
    ("bound", "current", "key", "code"),
    [
        (binding("same_key", "k1"), "same_key", "k1", None),
        (binding("same_key", "k1"), "same_key", "k2", "invalid_proof"),
        (binding("same_key", "k1", "k2"), "same_key", "k2", None),
        # What was pinned holds on, and what became stricter meanwhile holds at once.
        (binding("same_key", "k1"), "unlinked", "k2", "invalid_proof"),
        (binding("same_key", "k1"), None, "k2", "invalid_proof"),
        (binding("unlinked", "k1"), "same_key", "k2", "invalid_proof"),
        (binding("unlinked", "k1"), "same_key", "k1", None),
        (binding("unlinked", "k1"), "unlinked", "k2", None),
        (None, None, "k2", None),
        (None, "same_key", "k1", "invalid_proof"),
    ],
)
def test_a_credential_goes_to_the_key_that_presented(
    bound: HolderBinding | None, current: HolderBindingMode | None, key: str, code: str | None
) -> None:
    if code is None:
        check_holder_key(bound, key, current_mode=current)
        return
    with pytest.raises(Refusal) as refused:
        check_holder_key(bound, key, current_mode=current)
    assert refused.value.code == code
