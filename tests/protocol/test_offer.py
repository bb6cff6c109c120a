"""Credential offers by value."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from app.protocol.offer import credential_offer, offer_link

ISSUER = "https://issuer.example/pid-provider"


@pytest.mark.rule("OFR-03", "OFR-07", "OFR-14")
def test_an_offer_holds_identifiers_only() -> None:
    assert credential_offer(ISSUER, ["pid", "residence", "pid"], issuer_state="opaque") == {
        "credential_issuer": ISSUER,
        "credential_configuration_ids": ["pid", "residence"],
        "grants": {"authorization_code": {"issuer_state": "opaque"}},
    }


@pytest.mark.rule("OFR-01", "OFR-15")
def test_the_link_carries_exactly_the_offer() -> None:
    offer = credential_offer(ISSUER, ["a&b=c#d+e f", "ü"], issuer_state="x-y_z")
    link = offer_link(offer)
    assert link.isascii()
    assert link.startswith("openid-credential-offer://?")
    assert urlsplit(link).fragment == ""
    query = parse_qs(urlsplit(link).query, strict_parsing=True)
    assert list(query) == ["credential_offer"]
    assert [json.loads(value) for value in query["credential_offer"]] == [offer]
