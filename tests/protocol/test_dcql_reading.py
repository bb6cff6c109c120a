"""DCQL queries as they come over the wire: what is one, and what is not."""

from typing import Any

import pytest

from app.protocol.dcql import is_of_type, read_query
from app.protocol.strict_json import Malformed
from tests.protocol.test_dcql import asked, claim, credential


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        {},
        {"credentials": []},
        {"credentials": [{"id": "pid", "format": "dc+sd-jwt"}]},
        {"credentials": [credential(id="")]},
        {"credentials": [credential(id="a b")]},
        {"credentials": [credential(), credential()]},
        {"credentials": [credential(claims=[])]},
        {"credentials": [credential(claims=[{"path": []}])]},
        {"credentials": [credential(claims=[{"path": ["a", -1]}])]},
        {"credentials": [credential(claims=[{"path": ["a", True]}])]},
        {"credentials": [credential(claims=[{"path": ["a"], "values": []}])]},
        {"credentials": [credential(claims=[{"path": ["a"], "values": [1.5]}])]},
        {"credentials": [credential(claims=[claim("a"), claim("a")])]},
        {"credentials": [credential(claims=[claim("a")], claim_sets=[["b"]])]},
        {"credentials": [credential(claim_sets=[["a"]])]},
        {"credentials": [credential()], "credential_sets": []},
        {"credentials": [credential()], "credential_sets": [{"options": []}]},
        {"credentials": [credential()], "credential_sets": [{"options": [["other"]]}]},
    ],
)
def test_what_is_no_query_is_not_read(sent: Any) -> None:
    with pytest.raises(Malformed):
        read_query(sent)


def test_unknown_members_of_a_query_are_ignored() -> None:
    sent = {
        "credentials": [credential(claims=[{**claim("a"), "purpose": 1}], purpose={}, meta={"vct_values": [], "x": 1})],
        "purpose": "x",
    }
    assert read_query(sent).credentials[0].claims is not None


def test_a_query_for_another_format_is_read_and_not_satisfied() -> None:
    query = asked(format="mso_mdoc", meta={"doctype_value": "org.iso.18013.5.1.mDL"})
    assert not is_of_type(query, credential_format="dc+sd-jwt", vct="org.iso.18013.5.1.mDL")
