import json
from typing import Any
from urllib.parse import quote

import pytest

from app.wallet.errors import WalletRefused
from app.wallet.offer import CredentialOffer, is_offer, read_offer
from tests.wallet.fakes import ISSUER, FakeServer, reply

OFFER: dict[str, Any] = {
    "credential_issuer": ISSUER,
    "credential_configuration_ids": ["pid"],
    "grants": {"authorization_code": {"issuer_state": "s1"}},
}
READ = CredentialOffer(ISSUER, ("pid",), "s1", None)


def link(offer: Any) -> str:
    return "openid-credential-offer://?credential_offer=" + quote(json.dumps(offer), safe="")


def test_reads_links_json_and_references() -> None:
    server = FakeServer({"/offers/1": reply(OFFER)})
    by_reference = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffers%2F1"
    for text in (link(OFFER), json.dumps(OFFER), by_reference, link(OFFER).replace("openid-credential-offer", "haip")):
        assert is_offer(text)
        assert read_offer(text, server.http) == READ
    assert not is_offer(ISSUER)


def test_grants_may_be_absent() -> None:
    offer = {name: value for name, value in OFFER.items() if name != "grants"}
    assert read_offer(link(offer), FakeServer({}).http) == CredentialOffer(ISSUER, ("pid",))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"credential_issuer": "http://issuer.example"}, "unsafe_address"),
        ({"credential_issuer": None}, "unsafe_address"),
        ({"credential_configuration_ids": []}, "invalid_offer"),
        ({"credential_configuration_ids": ["pid", "pid"]}, "invalid_offer"),
        ({"credential_configuration_ids": [1]}, "invalid_offer"),
        ({"grants": []}, "invalid_offer"),
        ({"grants": {"authorization_code": {"issuer_state": 1}}}, "invalid_offer"),
        (
            {"grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": {"pre-authorized_code": "x"}}},
            "unsupported_offer",
        ),
    ],
)
def test_refuses_offers(change: dict[str, Any], code: str) -> None:
    with pytest.raises(WalletRefused) as refused:
        read_offer(link(OFFER | change), FakeServer({}).http)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        link(OFFER) + "&credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffers%2F1",
        link(OFFER) + "&credential_offer=x",
        "openid-credential-offer://?credential_offer=%7B",
        "openid-credential-offer://?credential=x",
        "openid-credential-offer://?credential_offer_uri=http%3A%2F%2Fissuer.example%2Foffers%2F1",
        "{",
    ],
)
def test_refuses_broken_links(text: str) -> None:
    server = FakeServer({})
    assert is_offer(text)
    with pytest.raises(WalletRefused):
        read_offer(text, server.http)
    assert server.requests == []
