"""Verifying a VP token: every presentation, then all of them together; nothing is released before all hold."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from app.document.presentation import JwksTrust, Presentation, TenantTrust, Trust
from app.protocol import base64url
from app.protocol.jose import BadSignature
from app.protocol.presentation import Expected, VerifiedPresentation, VpToken, verify_vp_token
from app.protocol.refusal import Refusal
from app.protocol.strict_json import Malformed
from app.protocol.trust import TrustedIssuers

EXPECTED = Expected(nonce="live", audiences=("iae:https://issuer.example",), now=1_800_000_000)
TRUST: dict[str, Trust] = {
    "state": JwksTrust(issuer="https://state.example", keys=[{}]),
    "school": JwksTrust(issuer="https://school.example", keys=[{}]),
}
KEY_ID = b"authority"


def verifier(
    presentation: str, *, trusted: Sequence[TrustedIssuers], expected: Expected, status_unchecked: bool
) -> VerifiedPresentation:
    """Verify the presentations that `shown` makes, as the formats' verifiers do theirs."""
    members = json.loads(presentation)
    names = {each.issuer for each in trusted if each.issuer}
    if members["issuer"] not in names:
        raise Malformed("issuer is not trusted")
    if members["nonce"] != expected.nonce:
        raise Malformed("kb-jwt: nonce differs")
    if members["audience"] not in expected.audiences:
        raise Malformed("kb-jwt: aud differs")
    if not members["signed"]:
        raise BadSignature("signature does not verify")
    if members["status"] and not status_unchecked:
        raise Malformed("status cannot be checked")
    return VerifiedPresentation(
        format=members["format"],
        vct=members["vct"],
        issuer=members["issuer"],
        claims=members["claims"],
        holder_jkt="jkt",
        authority_key_ids=frozenset({KEY_ID} if members["certified"] else set()),
    )


def shown(**members: Any) -> str:
    return json.dumps(
        {
            "issuer": "https://state.example",
            "format": "dc+sd-jwt",
            "vct": "urn:eudi:pid:1",
            "claims": {"given_name": "Erika"},
            "nonce": EXPECTED.nonce,
            "audience": EXPECTED.audiences[0],
            "signed": True,
            "status": False,
            "certified": False,
            **members,
        }
    )


DIPLOMA = {"issuer": "https://school.example", "vct": "urn:diploma", "claims": {"degree": "MSc"}}


def query(query_id: str, vct: str, *claims: str, **members: Any) -> dict[str, Any]:
    return {
        "id": query_id,
        "format": "dc+sd-jwt",
        "meta": {"vct_values": [vct]},
        "claims": [{"path": [name]} for name in claims],
        **members,
    }


ONE = [query("pid", "urn:eudi:pid:1", "given_name")]
TWO = [*ONE, query("diploma", "urn:diploma", "degree")]


def presentation(
    *queries: dict[str, Any], sets: list[dict[str, Any]] | None = None, status: str = "refused", **trust: list[str]
) -> Presentation:
    return msgspec.convert(
        {
            "dcql_query": {"credentials": list(queries), **({"credential_sets": sets} if sets else {})},
            "trust": {"pid": ["state"], "diploma": ["school"], "many": ["state"], **trust},
            "status": status,
        },
        Presentation,
    )


def verify(
    asked: Presentation, *, trust: Mapping[str, Trust] = TRUST, **answers: list[str]
) -> dict[str, list[VerifiedPresentation]]:
    return verify_vp_token(VpToken(answers), asked, trust=trust, verifiers={"dc+sd-jwt": verifier}, expected=EXPECTED)


def reason(asked: Presentation, *, trust: Mapping[str, Trust] = TRUST, **answers: list[str]) -> str:
    """Return why an answer is refused, which is told nobody outside."""
    with pytest.raises(Refusal) as refused:
        verify(asked, trust=trust, **answers)
    assert (refused.value.code, refused.value.public) == ("access_denied", "The presentation was not accepted.")
    return refused.value.reason


def test_what_was_asked_for_is_returned_by_query() -> None:
    verified = verify(presentation(*TWO), pid=[shown()], diploma=[shown(**DIPLOMA)])
    assert {query_id: [each.claims for each in found] for query_id, found in verified.items()} == {
        "pid": [{"given_name": "Erika"}],
        "diploma": [{"degree": "MSc"}],
    }


BAD = [
    ({"signed": False}, "signature does not verify"),
    ({"nonce": "other"}, "kb-jwt: nonce differs"),
    ({"audience": "iae:https://other.example"}, "kb-jwt: aud differs"),
    ({"issuer": "https://evil.example"}, "issuer is not trusted"),
    pytest.param({"vct": "urn:eudi:pid:2"}, "not of a type", marks=pytest.mark.rule("DE-06", "J-03")),
    pytest.param({"format": "mso_mdoc"}, "not of a type", marks=pytest.mark.rule("DE-05", "J-03")),
    pytest.param({"claims": {}}, "a claim that was asked for", marks=pytest.mark.rule("DE-08", "J-01")),
    pytest.param({"claims": {"Given_Name": "x"}}, "a claim that was asked for", marks=pytest.mark.rule("DE-08")),
]


@pytest.mark.parametrize(("fault", "why"), BAD)
def test_a_presentation_with_a_fault_is_refused(fault: dict[str, Any], why: str) -> None:
    assert why in reason(presentation(*ONE), pid=[shown(**fault)])


@pytest.mark.rule("VPT-02", "DE-17", "DE-18")
@pytest.mark.parametrize(("fault", "why"), [({"nonce": "other"}, "nonce differs"), ({"claims": {}}, "a claim that")])
def test_one_bad_presentation_of_several_fails_all(fault: dict[str, Any], why: str) -> None:
    many = presentation(query("many", "urn:eudi:pid:1", "given_name", multiple=True))
    assert len(verify(many, many=[shown(), shown()])["many"]) == 2
    assert why in reason(many, many=[shown(), shown(**fault)])
    optional = presentation(
        *ONE,
        query("many", "urn:eudi:pid:1", "given_name"),
        sets=[{"options": [["pid"]]}, {"options": [["many"]], "required": False}],
    )
    assert why in reason(optional, pid=[shown()], many=[shown(**fault)])


@pytest.mark.rule("DE-01", "J-01")
def test_without_sets_every_query_is_answered() -> None:
    assert "is missing" in reason(presentation(*TWO), pid=[shown()])
    assert "is missing" in reason(presentation(*TWO), diploma=[shown(**DIPLOMA)])


@pytest.mark.rule("DE-02", "J-01")
def test_with_sets_every_required_one_is_answered_whole() -> None:
    either = presentation(
        *TWO,
        query("many", "urn:eudi:pid:1", "given_name"),
        sets=[{"options": [["pid"], ["diploma", "many"]]}, {"options": [["many"]], "required": False}],
    )
    assert verify(either, pid=[shown()]).keys() == {"pid"}
    assert verify(either, diploma=[shown(**DIPLOMA)], many=[shown()]).keys() == {"diploma", "many"}
    assert "is missing" in reason(either, diploma=[shown(**DIPLOMA)])
    assert "is missing" in reason(either, many=[shown()])


def test_an_answer_that_presents_nothing_is_refused() -> None:
    optional = presentation(*ONE, sets=[{"options": [["pid"]], "required": False}])
    assert reason(optional) == "nothing is presented"
    assert reason(presentation(*ONE)) == "nothing is presented"


@pytest.mark.rule("DE-04", "J-02")
def test_a_query_has_one_answer_unless_it_asks_for_more() -> None:
    assert "pid: not one presentation" in reason(presentation(*ONE), pid=[])
    assert "pid: not one presentation" in reason(presentation(*ONE), pid=[shown(), shown()])
    many = presentation(query("many", "urn:eudi:pid:1", "given_name", multiple=True))
    assert "many: not one presentation" in reason(many, many=[])


@pytest.mark.rule("DE-03", "J-02")
def test_an_answer_to_nothing_that_was_asked_is_refused() -> None:
    assert "nothing that was asked" in reason(presentation(*ONE), pid=[shown()], other=[shown()])


@pytest.mark.rule("A-22")
def test_each_query_has_issuers_of_its_own() -> None:
    # The school is trusted, but not to say who somebody is.
    assert "issuer is not trusted" in reason(presentation(*TWO), pid=[shown(issuer="https://school.example")])
    either = presentation(*ONE, pid=["state", "school"])
    assert verify(either, pid=[shown(issuer="https://school.example")])


@pytest.mark.parametrize("trust", [{}, {"state": TenantTrust(tenant="gone")}])
def test_a_trust_that_is_gone_trusts_nobody(trust: dict[str, Trust]) -> None:
    assert "issuer is not trusted" in reason(presentation(*ONE), trust=trust, pid=[shown()])


AUTHORITY = {"trusted_authorities": [{"type": "aki", "values": [base64url.encode(KEY_ID)]}]}


@pytest.mark.rule("DE-13", "J-04")
def test_the_authority_that_was_asked_for_is_checked_again() -> None:
    asked = presentation(query("pid", "urn:eudi:pid:1", "given_name", **AUTHORITY))
    assert verify(asked, pid=[shown(certified=True)])
    assert "not by an authority" in reason(asked, pid=[shown(certified=False)])


@pytest.mark.rule("DE-15")
def test_an_authority_that_was_asked_for_makes_nobody_trusted() -> None:
    asked = presentation(query("pid", "urn:eudi:pid:1", "given_name", **AUTHORITY))
    answer = shown(certified=True, issuer="https://evil.example")
    assert "issuer is not trusted" in reason(asked, pid=[answer])


@pytest.mark.rule("DE-11", "J-04")
def test_values_that_were_asked_for_are_checked_again() -> None:
    asked = presentation(query("pid", "urn:eudi:pid:1", claims=[{"path": ["country"], "values": ["DE"]}]))
    assert verify(asked, pid=[shown(claims={"country": "DE"})])
    assert "another value" in reason(asked, pid=[shown(claims={"country": "FR"})])


def test_a_status_is_left_unchecked_only_where_the_document_says_so() -> None:
    assert "status cannot be checked" in reason(presentation(*ONE), pid=[shown(status=True)])
    assert verify(presentation(*ONE, status="unchecked"), pid=[shown(status=True)])
