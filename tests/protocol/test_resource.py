"""Access tokens as they are presented: header, scheme and key."""

import pytest

from app.document.model import Dpop
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.protocol.resource import check_key, check_scheme, read_authorization
from app.protocol.token import VerifiedAccessToken

BOUND = VerifiedAccessToken(token_id="t", client_id="c", jkt="key")
BEARER = VerifiedAccessToken(token_id="t", client_id="c", jkt=None)


@pytest.mark.parametrize(
    ("header", "found"),
    [("DPoP x.y.z", ("dpop", "x.y.z")), ("dpop x", ("dpop", "x")), ("BEARER x", ("bearer", "x"))],
)
def test_scheme_and_token(header: str, found: tuple[str, str]) -> None:
    assert read_authorization(header) == found


@pytest.mark.rule("CR-02", "C-25", "DP-25")
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_token"),
        ("", "invalid_token"),
        ("DPoP", "invalid_token"),
        ("DPoP ", "invalid_token"),
        ("DPoP\tx", "invalid_token"),
        ("Basic x", "invalid_token"),
        ("DPoP x, Bearer y", "two_tokens"),
    ],
)
def test_other_headers_are_refused(header: str | None, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_authorization(header)
    assert refused.value.code == code


@pytest.mark.rule("DP-22", "DP-23", "D-06")
@pytest.mark.parametrize(
    ("scheme", "token", "tokens", "fine"),
    [
        ("dpop", BOUND, "required", True),
        ("bearer", BOUND, "required", False),
        ("bearer", BOUND, "optional", False),
        ("bearer", BEARER, "optional", True),
        ("bearer", BEARER, "required", False),
        ("dpop", BEARER, "optional", False),
    ],
)
def test_a_token_is_presented_by_its_own_scheme(
    scheme: str, token: VerifiedAccessToken, tokens: str, fine: bool
) -> None:
    dpop = Dpop(tokens="required" if tokens == "required" else "optional")
    if fine:
        check_scheme(scheme, token, dpop=dpop)
        return
    with pytest.raises(Refusal) as refused:
        check_scheme(scheme, token, dpop=dpop)
    assert refused.value.code == "invalid_token"


@pytest.mark.rule("DP-17", "DP-22")
@pytest.mark.parametrize(
    ("token", "jkt", "code"),
    [
        (BOUND, "key", None),
        (BOUND, "other", "invalid_token"),
        (BOUND, None, "invalid_dpop_proof"),
        (BEARER, None, None),
    ],
)
def test_a_bound_token_needs_a_proof_by_its_key(token: VerifiedAccessToken, jkt: str | None, code: str | None) -> None:
    proof = None if jkt is None else DpopProof(jkt=jkt, jti="j", jti_expires_at=1)
    if code is None:
        check_key(token, proof)
        return
    with pytest.raises(Refusal) as refused:
        check_key(token, proof)
    assert refused.value.code == code
