"""A wallet's walk through an interactive session with a server of canned answers."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2

from app.wallet.answers import TYPES, Dialect
from app.wallet.authorization import new_request
from app.wallet.discovery import AuthorizationServer, Configuration, CredentialIssuer
from app.wallet.interactive import authorize_interactively
from app.wallet.keys import WalletKey
from app.wallet.presenting import Presenter
from app.wallet.store import Store, StoredCredential
from tests.wallet.certificates import VCT, TestIssuer
from tests.wallet.fakes import ISSUER, NOW, FakeServer, Reply, octets, reply

REDIRECT_URI = "http://localhost:4711/callback"
ENDPOINT = "https://as.example:8443/t/interactive?tenant=t"
SERVER = AuthorizationServer(
    ISSUER, f"{ISSUER}/authorize", f"{ISSUER}/token", interactive_authorization_endpoint=ENDPOINT
)
ISSUER_FACTS = CredentialIssuer(ISSUER, f"{ISSUER}/credential", None, (), {})
DIPLOMA = Configuration("diploma", "urn:diploma:1", "diploma")
URN, BARE = TYPES["urn"], TYPES["bare"]
DONE = reply({"status": "ok", "code": "the-code"})
DPOP_NONCE = reply({"error": "use_dpop_nonce"}, 400, dpop_nonce="n1")


def wants_presentation(handle: str, type_: str = URN.presentation, **changes: Any) -> httpx2.Response:
    query = {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [{"path": ["given_name"]}]}
    request = {
        "response_type": "vp_token",
        "response_mode": "iae_post",
        "nonce": f"nonce-of-{handle}",
        "dcql_query": {"credentials": [query]},
        **changes,
    }
    answer = {"status": "require_interaction", "type": type_, "auth_session": handle, "openid4vp_request": request}
    return reply(answer)


def wants_web(handle: str, type_: str = URN.web) -> httpx2.Response:
    request_uri = f"urn:request:{handle}"
    return reply({"status": "require_interaction", "type": type_, "auth_session": handle, "request_uri": request_uri})


class Walk:
    """A wallet with a PID, a server of canned answers, and a browser that comes back with canned parameters."""

    def __init__(self, folder: Path, *answers: Reply, brought_back: list[dict[str, str]] | None = None) -> None:
        key = WalletKey.generate()
        credential = TestIssuer().issue(key.public_jwk)
        self.store = Store(folder)
        self.store.add(StoredCredential("pid-1", ISSUER, "pid", VCT, NOW, credential, key.to_pem()))
        self.server = FakeServer({"/t/interactive": list(answers)})
        self.visited: list[str] = []
        self.agreed: list[str] = []
        self._brought_back = brought_back or []

    def __call__(self, dialect: Dialect = "urn", *, agree: bool = True) -> str:
        self.request = new_request(
            ISSUER_FACTS,
            [DIPLOMA],
            client_id="demo-wallet",
            redirect_uri=REDIRECT_URI,
            by="scope",
            issuer_state="from-the-offer",
            random=octets,
        )

        def person(verifier: str, _: Any) -> bool:
            self.agreed.append(verifier)
            return agree

        presenter = Presenter(self.store, only=(), agree=person, now=lambda: NOW)
        return authorize_interactively(
            self.server.sender(), SERVER, self.request, dialect=dialect, browse=self._browse, presenter=presenter
        )

    def _browse(self, url: str) -> str:
        self.visited.append(url)
        parameters = {"state": self.request.state, "iss": ISSUER, **self._brought_back[len(self.visited) - 1]}
        return f"{REDIRECT_URI}?{urlencode(parameters)}"

    @property
    def forms(self) -> list[dict[str, str]]:
        return [self.server.form(index) for index in range(len(self.server.requests))]

    def response(self, index: int) -> dict[str, Any]:
        response: dict[str, Any] = json.loads(self.forms[index]["openid4vp_response"])
        return response
