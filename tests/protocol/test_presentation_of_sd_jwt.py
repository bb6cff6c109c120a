"""A VP token of real presentations, by their real verifier: the rules of the response and of the format together."""

from typing import Any

import msgspec
import pytest

from app.document.presentation import Presentation, Trust, X509Trust
from app.formats.sd_jwt_vc_verification import verify_presentation
from app.protocol import base64url
from app.protocol.presentation import VerifiedPresentation, VpToken, verify_vp_token
from app.protocol.refusal import Refusal
from app.protocol.x509 import authority_key_ids
from tests.support.presented import EXPECTED, OTHER_CA, OTHER_ISSUER, PID_CA, PID_ISSUER, VCT, present

PID = PID_ISSUER.issue()
CLAIMS = [{"path": ["given_name"]}, {"path": ["age_over_18"], "values": [True]}]
TRUST: dict[str, Trust] = {"state": X509Trust(anchors=[PID_CA.pem]), "other": X509Trust(anchors=[OTHER_CA.pem])}


def asked(**members: Any) -> Presentation:
    query = {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": CLAIMS, **members}
    return msgspec.convert({"dcql_query": {"credentials": [query]}, "trust": {"pid": ["state"]}}, Presentation)


def verify(presentation: Presentation, *presented: str) -> list[VerifiedPresentation]:
    return verify_vp_token(
        VpToken({"pid": list(presented)}),
        presentation,
        trust=TRUST,
        verifiers={"dc+sd-jwt": verify_presentation},
        expected=EXPECTED,
    )["pid"]


def reason(presentation: Presentation, *presented: str) -> str:
    with pytest.raises(Refusal) as refused:
        verify(presentation, *presented)
    assert refused.value.code == "access_denied"
    return refused.value.reason


def test_what_is_presented_is_what_is_told() -> None:
    (verified,) = verify(asked(), present(PID.disclosing("given_name", "age_over_18")))
    assert {name: verified.claims.get(name) for name in ("given_name", "age_over_18", "family_name")} == {
        "given_name": "Erika",
        "age_over_18": True,
        "family_name": None,
    }


@pytest.mark.rule("DE-16")
@pytest.mark.parametrize("required", [True, False])
def test_a_presentation_without_key_binding_is_refused_whatever_was_asked(required: bool) -> None:
    presentation = asked(require_cryptographic_holder_binding=required)
    assert verify(presentation, present(PID))
    assert "without key binding" in reason(presentation, PID.text)


@pytest.mark.rule("VPT-05", "J-17")
@pytest.mark.parametrize(
    "audience",
    [
        "iae:https://other.example",
        "iae:https://university.example/",
        "iae:https://university.example/university/interactive",
        "ia:https://university.example",
        "origin:https://university.example",
        "https://university.example",
        "x509_san_dns:university.example",
        "university.example",
        "university",
    ],
)
def test_a_presentation_is_for_this_endpoint_and_one_that_is_not_fails_all(audience: str) -> None:
    several = asked(multiple=True)
    assert len(verify(several, present(PID), present(PID))) == 2
    assert "another audience" in reason(several, present(PID, audience=audience))
    assert "another audience" in reason(several, present(PID), present(PID, audience=audience))


@pytest.mark.rule("DE-18")
def test_one_stale_nonce_fails_all() -> None:
    assert "nonce" in reason(asked(multiple=True), present(PID), present(PID, nonce="stale"))


@pytest.mark.rule("DE-08", "DE-11")
def test_what_is_not_disclosed_is_missing() -> None:
    assert "a claim" in reason(asked(), present(PID.disclosing("given_name")))
    minor = PID_ISSUER.issue({"given_name": "Erika", "age_over_18": 1})
    assert "a claim" in reason(asked(), present(minor))


@pytest.mark.rule("DE-06")
@pytest.mark.parametrize(
    "payload",
    [{"vct": "urn:eudi:pid:1:de"}, {"vct": "urn:other", "aka_vcts": [VCT]}, {"vct": "urn:other", "extends": VCT}],
)
def test_another_type_is_not_this_one_whatever_it_says_of_itself(payload: dict[str, Any]) -> None:
    assert "type" in reason(asked(), present(PID.bent(payload=payload)))


@pytest.mark.rule("DE-13", "DE-15")
def test_authorities_narrow_trust_and_do_not_widen_it() -> None:
    state, other = (
        [{"type": "aki", "values": [base64url.encode(each) for each in authority_key_ids(issuer.chain)]}]
        for issuer in (PID_ISSUER, OTHER_ISSUER)
    )
    assert verify(asked(trusted_authorities=state), present(PID))
    assert "not by an authority" in reason(asked(trusted_authorities=other), present(PID))
    assert "trust anchor" in reason(asked(trusted_authorities=other), present(OTHER_ISSUER.issue()))
