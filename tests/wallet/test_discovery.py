from typing import Any

import httpx2
import pytest

from app.wallet.addresses import origin, well_known
from app.wallet.discovery import AuthorizationServer, choose_server, discover_issuer, discover_server
from app.wallet.errors import ServerRefused, Unreachable, WalletRefused
from app.wallet.offer import CredentialOffer
from tests.wallet.fakes import ISSUER, FakeServer, issuer_metadata, reply, server_metadata

ISSUER_PATH = "/.well-known/openid-credential-issuer/pid-provider"
SERVER_PATH = "/.well-known/oauth-authorization-server/pid-provider"
INTERACTIVE = {"interactive_authorization_endpoint": f"{ISSUER}/interactive"}


def test_reads_both_documents_at_the_inserted_paths() -> None:
    server = FakeServer({ISSUER_PATH: reply(issuer_metadata()), SERVER_PATH: reply(server_metadata())})
    issuer = discover_issuer(server.http, ISSUER)
    assert issuer.configuration("pid").vct == "urn:eudi:pid:1"
    assert choose_server(issuer, CredentialOffer(ISSUER, ("pid",))) == ISSUER
    assert discover_server(server.http, ISSUER).token_endpoint == f"{ISSUER}/token"


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        ("https://a.example", "https://a.example/.well-known/x"),
        ("https://a.example/", "https://a.example/.well-known/x"),
        ("https://a.example:8443/t/u/", "https://a.example:8443/.well-known/x/t/u"),
    ],
)
def test_well_known_address(issuer: str, expected: str) -> None:
    assert well_known(issuer, "x") == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"credential_issuer": f"{ISSUER}/"}, "issuer_mismatch"),
        ({"credential_issuer": None}, "issuer_mismatch"),
        ({"credential_endpoint": None}, "unsafe_address"),
        ({"credential_endpoint": "http://issuer.example/credential"}, "unsafe_address"),
        ({"credential_endpoint": "http://localhost:9200/"}, "unsafe_address"),
        ({"nonce_endpoint": "https://user@issuer.example/nonce"}, "unsafe_address"),
        ({"authorization_servers": "https://as.example"}, "unusable_metadata"),
        ({"credential_configurations_supported": []}, "unusable_metadata"),
    ],
)
def test_refuses_issuer_metadata(changes: dict[str, Any], code: str) -> None:
    server = FakeServer({ISSUER_PATH: reply(issuer_metadata(**changes))})
    with pytest.raises(WalletRefused) as refused:
        discover_issuer(server.http, ISSUER)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "https://issuer.example/other"}, "issuer_mismatch"),
        ({"token_endpoint": None}, "unsafe_address"),
        ({"pushed_authorization_request_endpoint": None}, "unsafe_address"),
        ({"code_challenge_methods_supported": ["plain"]}, "unsupported_server"),
        ({"dpop_signing_alg_values_supported": []}, "unsupported_server"),
        ({"interactive_authorization_endpoint": "http://issuer.example/interactive"}, "unsafe_address"),
        ({"interactive_authorization_endpoint": None}, "unsafe_address"),
        ({"require_interactive_authorization_request": True}, "unusable_metadata"),
        ({**INTERACTIVE, "require_interactive_authorization_request": "true"}, "unusable_metadata"),
    ],
)
def test_refuses_server_metadata(changes: dict[str, Any], code: str) -> None:
    server = FakeServer({SERVER_PATH: reply(server_metadata(**changes))})
    with pytest.raises(WalletRefused) as refused:
        discover_server(server.http, ISSUER)
    assert refused.value.code == code


def test_knows_where_a_server_takes_requests() -> None:
    def served(**changes: Any) -> AuthorizationServer:
        metadata = {name: value for name, value in server_metadata(**changes).items() if value != "absent"}
        return discover_server(FakeServer({SERVER_PATH: reply(metadata)}).http, ISSUER)

    assert served().interactive_authorization_endpoint is None
    assert not served(**INTERACTIVE).interactive_required
    only = served(
        **INTERACTIVE,
        pushed_authorization_request_endpoint="absent",
        require_interactive_authorization_request=True,
    )
    assert only.interactive_authorization_endpoint == f"{ISSUER}/interactive"
    assert only.pushed_authorization_request_endpoint is None
    assert only.interactive_required
    with pytest.raises(WalletRefused, match="neither"):
        served(pushed_authorization_request_endpoint="absent")


@pytest.mark.parametrize(
    "identifier",
    ["http://issuer.example/pid", "https://issuer.example/pid?x", "https://issuer.example/#x", "ftp://localhost/", "x"],
)
def test_refuses_unsafe_issuers_without_a_request(identifier: str) -> None:
    server = FakeServer({})
    with pytest.raises(WalletRefused, match="unsafe_address"):
        discover_issuer(server.http, identifier)
    assert server.requests == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://as.example/t/interactive?a=b", "https://as.example"),
        ("https://AS.example:443/t", "https://as.example"),
        ("https://as.example:8443/t", "https://as.example:8443"),
        ("http://localhost:80/", "http://localhost"),
        ("http://localhost:443/", "http://localhost:443"),
        ("http://[::1]:8000/t", "http://[::1]:8000"),
    ],
)
def test_origin(url: str, expected: str) -> None:
    assert origin(url) == expected


def test_loopback_issuer_may_use_plain_http() -> None:
    issuer = "http://localhost:8000/pid-provider"
    metadata = issuer_metadata(
        credential_issuer=issuer, credential_endpoint=f"{issuer}/credential", nonce_endpoint=f"{issuer}/nonce"
    )
    server = FakeServer({ISSUER_PATH: reply(metadata)})
    assert discover_issuer(server.http, issuer).nonce_endpoint == f"{issuer}/nonce"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": "mso_mdoc"}, "unsupported_configuration"),
        ({"vct": 1}, "unsupported_configuration"),
        ({"proof_types_supported": {"attestation": {}}}, "unsupported_configuration"),
        ({"proof_types_supported": {"jwt": []}}, "unusable_metadata"),
        ({"scope": ["pid"]}, "unusable_metadata"),
    ],
)
def test_refuses_configurations_beyond_it(change: dict[str, Any], code: str) -> None:
    metadata = issuer_metadata()
    metadata["credential_configurations_supported"]["pid"] |= change
    issuer = discover_issuer(FakeServer({ISSUER_PATH: reply(metadata)}).http, ISSUER)
    with pytest.raises(WalletRefused) as refused:
        issuer.configuration("pid")
    assert refused.value.code == code
    with pytest.raises(WalletRefused, match="unknown_configuration"):
        issuer.configuration("diploma")


def test_an_offer_chooses_among_the_issuers_servers_only() -> None:
    servers = ["https://as1.example", "https://as2.example"]
    fake = FakeServer({ISSUER_PATH: reply(issuer_metadata(authorization_servers=servers))})
    issuer = discover_issuer(fake.http, ISSUER)
    assert choose_server(issuer, CredentialOffer(ISSUER, ("pid",))) == servers[0]
    offer = CredentialOffer(ISSUER, ("pid",), authorization_server=servers[1])
    assert choose_server(issuer, offer) == servers[1]
    with pytest.raises(WalletRefused, match="invalid_offer"):
        choose_server(issuer, CredentialOffer(ISSUER, ("pid",), authorization_server="https://evil.example"))


def _no_answer(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("connection refused", request=request)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx2.Response(404), ServerRefused),
        (httpx2.Response(302, headers={"location": "https://evil.example"}), WalletRefused),
        (httpx2.Response(200, text="{}", headers={"content-type": "text/html"}), WalletRefused),
        (httpx2.Response(200, text='{"a":1,"a":2}', headers={"content-type": "application/json"}), WalletRefused),
        (httpx2.Response(200, content=b" " * 1_100_000, headers={"content-type": "application/json"}), WalletRefused),
        (_no_answer, Unreachable),
    ],
)
def test_unusable_answers(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        discover_issuer(FakeServer({ISSUER_PATH: answer}).http, ISSUER)
