"""Presentations as answers to what a document asks for: of a type, by issuers who are trusted for it."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.document.dcql import CredentialQuery, DcqlQuery, SdJwtVcMeta
from app.document.presentation import Presentation, ResolvedTenant, TenantTrust, Trust, X509Trust
from app.formats.sd_jwt_vc import build
from app.formats.sd_jwt_vc_verification import verify_presentation
from app.protocol.presentation import VerifiedPresentation, VpToken, verify_vp_token
from app.protocol.refusal import Refusal
from tests.formats.judged import GOOD, judge
from tests.protocol.certificates import NOW, der
from tests.protocol.jwts import KEY, public_jwk, sign
from tests.support.presented import (
    EXPECTED,
    ISS,
    OTHER_CA,
    OTHER_ISSUER,
    PID_CA,
    PID_ISSUER,
    PID_KEY,
    VCT,
    Issuer,
    SdJwt,
    present,
)


def answer(credential: SdJwt | str, trust: Mapping[str, Trust], names: list[str]) -> VerifiedPresentation:
    """Verify a presentation as the answer to a query for the type, from issuers under these names of the trust."""
    query = CredentialQuery(id="pid", format="dc+sd-jwt", meta=SdJwtVcMeta(vct_values=[VCT]))
    [verified] = verify_vp_token(
        VpToken({"pid": [present(credential)]}),
        Presentation(dcql_query=DcqlQuery(credentials=[query]), trust={"pid": names}),
        trust=trust,
        verifiers={"dc+sd-jwt": verify_presentation},
        expected=EXPECTED,
    )["pid"]
    return verified


TRUST: dict[str, Trust] = {"pid": X509Trust(anchors=[PID_CA.pem]), "other": X509Trust(anchors=[OTHER_CA.pem])}


@pytest.mark.rule("X-06", "I-05")
@pytest.mark.parametrize(
    ("issuer", "named", "right"),
    [
        (PID_ISSUER, "pid", True),
        (OTHER_ISSUER, "other", True),
        (PID_ISSUER, "other", False),
        (OTHER_ISSUER, "pid", False),
    ],
)
def test_an_authority_is_trusted_for_what_it_is_named_for(issuer: Issuer, named: str, right: bool) -> None:
    if right:
        assert answer(issuer.issue(), TRUST, [named]).issuer == issuer.iss
    else:
        with pytest.raises(Refusal, match="access_denied"):
            answer(issuer.issue(), TRUST, [named])


@pytest.mark.rule("AG-15", "VC-14")
@pytest.mark.parametrize(
    "payload",
    [
        {"vct": "urn:example:other", "aka_vcts": [VCT]},
        {"vct": "urn:example:other", "extends": VCT},
        {"vct": VCT.upper()},
        {"vct": VCT + "/"},
        {"vct": VCT + " "},
    ],
)
def test_the_type_is_the_one_the_credential_has(payload: Mapping[str, Any]) -> None:
    credential = GOOD.bent(payload=payload)
    assert judge(present(credential)).vct == payload["vct"]
    with pytest.raises(Refusal) as refusal:
        answer(credential, TRUST, ["pid"])
    assert "type" in refusal.value.reason


@pytest.mark.rule("AG-21")
def test_what_a_tenant_issued_itself_is_taken_where_the_document_says_so() -> None:
    unsigned = build(
        [],
        vct=VCT,
        issuer=ISS,
        issued_at=NOW,
        expires_at=NOW + 86_400,
        holder_jwk=public_jwk(KEY),
        certificate_chain=der(*PID_ISSUER.chain),
        algorithm="ES256",
        salt=lambda: "",
    )
    own = unsigned.complete(sign(PID_KEY, unsigned.signing_input))
    trust: dict[str, Trust] = {
        "ourselves": TenantTrust(tenant="ourselves", resolved=ResolvedTenant(issuer=ISS, anchors=[PID_CA.pem])),
        **TRUST,
    }
    assert answer(own, trust, ["other", "ourselves"]).issuer == ISS
    with pytest.raises(Refusal, match="access_denied"):
        answer(own, trust, ["other"])
