"""A server of canned answers, and what the wallet needs from outside."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx2

from app.wallet.dpop import DpopSender
from app.wallet.http import Exchange, Http
from app.wallet.keys import WalletKey

ISSUER = "https://issuer.example/pid-provider"
NOW = 1_800_000_000

Reply = httpx2.Response | Callable[[httpx2.Request], httpx2.Response]


def octets(count: int) -> bytes:
    octets.calls += 1  # type: ignore[attr-defined]  # a counter is all the chance a test needs
    return bytes([octets.calls % 256]) * count  # type: ignore[attr-defined]  # a function that counts its calls


octets.calls = 0  # type: ignore[attr-defined]  # a function that counts its calls


def reply(body: Any, status: int = 200, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=body, headers=named)


class FakeServer:
    """Answers each path from its list, the last answer again and again; remembers the requests."""

    def __init__(self, answers: dict[str, Reply | list[Reply]]) -> None:
        self.answers = {path: each if isinstance(each, list) else [each] for path, each in answers.items()}
        self.requests: list[httpx2.Request] = []
        self.exchanges: list[Exchange] = []
        self.http = Http(self.exchanges.append, transport=httpx2.MockTransport(self._answer))

    def sender(self) -> DpopSender:
        return DpopSender(self.http, WalletKey.generate(), now=lambda: NOW, random=octets)

    def form(self, index: int) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.requests[index].content.decode()).items()}

    def json(self, index: int) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.requests[index].content)
        return body

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answers = self.answers.get(request.url.path)
        if not answers:
            return httpx2.Response(404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer(request) if callable(answer) else answer


def issuer_metadata(**changes: Any) -> dict[str, Any]:
    configuration = {
        "format": "dc+sd-jwt",
        "vct": "urn:eudi:pid:1",
        "scope": "pid",
        "cryptographic_binding_methods_supported": ["jwk"],
        "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
    }
    return {
        "credential_issuer": ISSUER,
        "credential_endpoint": f"{ISSUER}/credential",
        "nonce_endpoint": f"{ISSUER}/nonce",
        "credential_configurations_supported": {"pid": configuration},
        **changes,
    }


def server_metadata(**changes: Any) -> dict[str, Any]:
    return {
        "issuer": ISSUER,
        "pushed_authorization_request_endpoint": f"{ISSUER}/par",
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": ["ES256"],
        **changes,
    }
