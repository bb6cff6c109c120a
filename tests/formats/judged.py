"""Presentations under judgement: every case is right but for what it says."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.formats.sd_jwt_vc_verification import verify_presentation
from app.protocol.presentation import VerifiedPresentation
from app.protocol.strict_json import Malformed
from app.protocol.trust import TrustedIssuers
from tests.support.presented import EXPECTED, PID_CA, PID_ISSUER, SdJwt, present

GOOD = PID_ISSUER.issue()


def judge(
    presentation: str, *, trusted: Sequence[TrustedIssuers] = (PID_CA.trusted(),), status_unchecked: bool = False
) -> VerifiedPresentation:
    """Verify a presentation as a verifier who trusts the issuer."""
    return verify_presentation(presentation, trusted=trusted, expected=EXPECTED, status_unchecked=status_unchecked)


def refused(sd_jwt: SdJwt | str, text: str, **options: Any) -> None:
    """Assert that the rightful holder's presentation of a credential is refused, and why."""
    with pytest.raises(Malformed, match=text):
        judge(present(sd_jwt), **options)
