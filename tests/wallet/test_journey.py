import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx2
import pytest

from app.protocol import jose
from app.wallet.errors import WalletError, WalletRefused
from app.wallet.journey import Wallet
from app.wallet.keys import WalletKey
from app.wallet.offer import CredentialOffer
from app.wallet.store import Store
from tests.wallet.certificates import TestIssuer
from tests.wallet.fakes import ISSUER, NOW, FakeServer, Reply, issuer_metadata, octets, reply, server_metadata

REDIRECT_URI = "http://localhost:4711/callback"
ISSUED_BY = TestIssuer()
OFFER = CredentialOffer(ISSUER, ("pid",), issuer_state="s")


def issue(request: httpx2.Request) -> httpx2.Response:
    proof = jose.parse_jwt(json.loads(request.content)["proofs"]["jwt"][0])
    return reply({"credentials": [{"credential": ISSUED_BY.issue(proof.header["jwk"])}]})


def a_server(**changes: Reply) -> FakeServer:
    endpoints: dict[str, Reply] = {
        "par": reply({"request_uri": "urn:x", "expires_in": 60}, 201),
        "token": reply({"access_token": "at", "token_type": "DPoP"}),
        "nonce": reply({"c_nonce": "c"}),
        "credential": issue,
        **changes,
    }
    return FakeServer(
        {
            "/.well-known/openid-credential-issuer/pid-provider": reply(issuer_metadata()),
            "/.well-known/oauth-authorization-server/pid-provider": reply(server_metadata()),
            **{f"/pid-provider/{name}": each for name, each in endpoints.items()},
        }
    )


def get(server: FakeServer, folder: Path, *, iss: str = ISSUER, anchor: TestIssuer = ISSUED_BY) -> list[Any]:
    wallet = Wallet(
        http=server.http,
        store=Store(folder),
        client_id="demo-wallet",
        anchors=[anchor.ca],
        now=lambda: NOW,
        random=octets,
    )

    def person(authorize_url: str) -> str:
        assert parse_qs(authorize_url.partition("?")[2])["request_uri"] == ["urn:x"]
        state = server.form(2)["state"]
        return f"{REDIRECT_URI}?{urlencode({'code': 'c', 'state': state, 'iss': iss})}"

    return list(wallet.get(OFFER, by="scope", redirect_uri=REDIRECT_URI, person=person))


def test_from_an_offer_to_a_kept_credential(tmp_path: Path) -> None:
    [(stored, verified)] = get(a_server(), tmp_path)
    assert verified.claims["given_name"] == "Erika"
    assert Store(tmp_path).all() == [stored]
    assert (stored.credential_issuer, stored.configuration_id, stored.received_at) == (ISSUER, "pid", NOW)


def test_each_identifier_gets_its_own_key(tmp_path: Path) -> None:
    details = [
        {"type": "openid_credential", "credential_configuration_id": "pid", "credential_identifiers": ["a", "b"]}
    ]
    token = reply({"access_token": "at", "token_type": "DPoP", "authorization_details": details})
    received = get(a_server(token=token), tmp_path)
    assert len({stored.holder_key for stored, _ in received}) == 2
    assert len(Store(tmp_path).all()) == 2


@pytest.mark.parametrize("iss", ["https://evil.example", ""])
def test_a_mixed_up_server_gets_no_code(tmp_path: Path, iss: str) -> None:
    server = a_server()
    with pytest.raises(WalletRefused, match="issuer_mismatch"):
        get(server, tmp_path, iss=iss)
    assert not any(request.url.path.endswith("/token") for request in server.requests)


def test_a_bad_credential_is_not_kept(tmp_path: Path) -> None:
    other_key = reply({"credentials": [{"credential": ISSUED_BY.issue(WalletKey.generate().public_jwk)}]})
    for server, anchor in ((a_server(credential=other_key), ISSUED_BY), (a_server(), TestIssuer())):
        with pytest.raises(WalletRefused, match="bad_credential"):
            get(server, tmp_path, anchor=anchor)
    assert Store(tmp_path).all() == []


def test_what_was_not_granted_is_said(tmp_path: Path) -> None:
    details = [{"type": "openid_credential", "credential_configuration_id": "x", "credential_identifiers": ["a"]}]
    token = reply({"access_token": "at", "token_type": "DPoP", "authorization_details": details})
    with pytest.raises(WalletError, match="not_granted"):
        get(a_server(token=token), tmp_path)
