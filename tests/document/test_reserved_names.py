"""The names a document may not map are those a format would refuse to issue: the two lists lie on different floors."""

import pytest

from app.document.credential_rules import NEVER_WITHIN, RESERVED_CLAIMS
from app.formats import sd_jwt, sd_jwt_vc


@pytest.mark.rule("M-24")
def test_what_the_format_reserves_a_document_cannot_map() -> None:
    assert sd_jwt_vc.RESERVED <= RESERVED_CLAIMS
    assert sd_jwt.RESERVED <= NEVER_WITHIN
