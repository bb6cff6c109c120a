import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx2
import pytest

from app.protocol import jose
from app.wallet.discovery import AuthorizationServer
from app.wallet.errors import WalletError, WalletRefused
from app.wallet.journey import Choices, HolderKey, Person, Via, Wallet, choose_way
from app.wallet.keys import WalletKey
from app.wallet.offer import CredentialOffer
from app.wallet.store import Store, StoredCredential
from tests.wallet.certificates import VCT, TestIssuer
from tests.wallet.fakes import ISSUER, NOW, FakeServer, Reply, issuer_metadata, octets, reply, server_metadata

REDIRECT_URI = "http://localhost:4711/callback"
ISSUED_BY = TestIssuer()
OFFER = CredentialOffer(ISSUER, ("pid",), issuer_state="s")


def issue(request: httpx2.Request) -> httpx2.Response:
    proof = jose.parse_jwt(json.loads(request.content)["proofs"]["jwt"][0])
    return reply({"credentials": [{"credential": ISSUED_BY.issue(proof.header["jwk"])}]})


def a_server(*interactive: Reply, **changes: Reply) -> FakeServer:
    """A server; one with interactive answers has the endpoint for them."""
    endpoints: dict[str, Reply | list[Reply]] = {
        "par": reply({"request_uri": "urn:x", "expires_in": 60}, 201),
        "token": reply({"access_token": "at", "token_type": "DPoP"}),
        "nonce": reply({"c_nonce": "c"}),
        "credential": issue,
        "interactive": list(interactive),
        **changes,
    }
    endpoint = {"interactive_authorization_endpoint": f"{ISSUER}/interactive"} if interactive else {}
    return FakeServer(
        {
            "/.well-known/openid-credential-issuer/pid-provider": reply(issuer_metadata()),
            "/.well-known/oauth-authorization-server/pid-provider": reply(server_metadata(**endpoint)),
            **{f"/pid-provider/{name}": each for name, each in endpoints.items()},
        }
    )


def get(
    server: FakeServer, folder: Path, *, iss: str = ISSUER, anchor: TestIssuer = ISSUED_BY, **choices: Any
) -> list[Any]:
    wallet = Wallet(
        http=server.http,
        store=Store(folder),
        client_id="demo-wallet",
        anchors=[anchor.ca],
        now=lambda: NOW,
        random=octets,
    )

    def browse(authorize_url: str) -> str:
        assert parse_qs(authorize_url.partition("?")[2])["request_uri"] == ["urn:x"]
        state = server.form(2)["state"]
        return f"{REDIRECT_URI}?{urlencode({'code': 'c', 'state': state, 'iss': iss})}"

    person = Person(redirect_uri=REDIRECT_URI, browse=browse, agree=lambda verifier, showings: True)
    return list(wallet.get(OFFER, Choices(**choices), person))


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


WEB = reply(
    {
        "status": "require_interaction",
        "type": "urn:openid:dcp:iae:redirect_to_web",
        "auth_session": "a1",
        "request_uri": "urn:x",
    }
)
DONE = reply({"status": "ok", "code": "c"})


def wants(*ids: str) -> httpx2.Response:
    """An answer that wants a credential of each of these types presented."""
    queries = [{"id": each, "format": "dc+sd-jwt", "meta": {"vct_values": [f"urn:{each}:1"]}} for each in ids]
    request = {
        "response_type": "vp_token",
        "response_mode": "iae_post",
        "nonce": "n",
        "dcql_query": {"credentials": queries},
    }
    type_ = "urn:openid:dcp:iae:openid4vp_presentation"
    return reply({**json.loads(WEB.content), "type": type_, "openid4vp_request": request})


def keep(folder: Path, name: str) -> WalletKey:
    """Put a credential into the folder and return its key."""
    key = WalletKey.generate()
    credential = ISSUED_BY.issue(key.public_jwk, vct=f"urn:{name}:1")
    Store(folder).add(StoredCredential(name, ISSUER, name, f"urn:{name}:1", NOW - 1, credential, key.to_pem()))
    return key


def paths(server: FakeServer) -> list[str]:
    return [request.url.path.rpartition("/")[2] for request in server.requests[2:]]


def test_asks_interactively_wherever_it_can(tmp_path: Path) -> None:
    server = a_server(WEB)
    [(stored, _)] = get(server, tmp_path)
    assert paths(server) == ["interactive", "token", "nonce", "credential"]
    # A redirect URI that was sent is repeated (RFC 6749 §4.1.3).
    assert server.form(3)["redirect_uri"] == server.form(2)["redirect_uri"] == REDIRECT_URI
    assert stored.vct == VCT

    pushed = a_server(WEB)
    get(pushed, tmp_path, via="par")
    assert paths(pushed) == ["par", "token", "nonce", "credential"]


@pytest.mark.parametrize(
    ("has", "required", "via", "way"),
    [
        (False, False, None, "par"),
        (True, False, None, "interactive"),
        (True, True, None, "interactive"),
        (True, False, "par", "par"),
        (True, True, "interactive", "interactive"),
        (True, True, "par", None),
    ],
)
def test_chooses_the_way(has: bool, required: bool, via: Via | None, way: Via | None) -> None:
    server = AuthorizationServer(
        ISSUER,
        "",
        "",
        interactive_authorization_endpoint=f"{ISSUER}/interactive" if has else None,
        interactive_required=required,
    )
    if way is not None:
        assert choose_way(server, via) == way
    else:
        with pytest.raises(WalletRefused, match="interactively only"):
            choose_way(server, via)


@pytest.mark.parametrize(
    ("presented", "wish", "bound_to"),
    [
        (["card"], None, "card"),
        (["card"], "same", "card"),
        (["card"], "new", None),
        # The first of what was asked for.
        (["card", "ticket"], None, "card"),
        ([], None, None),
        ([], "new", None),
    ],
)
def test_binds_to_the_presented_key_or_to_a_new_one(
    tmp_path: Path, presented: list[str], wish: HolderKey | None, bound_to: str | None
) -> None:
    keys = {name: keep(tmp_path, name).to_pem() for name in ("card", "ticket")}
    server = a_server(wants(*presented) if presented else DONE, DONE)
    [(stored, verified)] = get(server, tmp_path, holder_key=wish)
    assert verified.anchored
    if bound_to is None:
        assert stored.holder_key not in keys.values()
    else:
        assert stored.holder_key == keys[bound_to]
    # Two credentials of one key are two in the folder.
    assert len(Store(tmp_path).all()) == 3


def test_there_must_be_a_presented_key_to_bind_to(tmp_path: Path) -> None:
    server = a_server(DONE)
    with pytest.raises(WalletRefused, match="no_key"):
        get(server, tmp_path, holder_key="same")
    assert paths(server) == ["interactive"]


def test_presents_what_it_is_told_to(tmp_path: Path) -> None:
    keep(tmp_path, "card")
    keep(tmp_path, "ticket")
    server = a_server(wants("card"), DONE)
    with pytest.raises(WalletRefused, match="nothing_to_present"):
        get(server, tmp_path, present=["ticket"])
    get(a_server(wants("card"), DONE), tmp_path, present=["card"])
