"""Somebody who sends what nobody should, with a wallet of his own and what was seen of another's."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx2

from tests.soak.journeys import Loot, Seen
from tests.support import raw_http
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.presented import PID_ISSUER
from tests.support.raw_http import RawAnswer
from tests.support.raw_wallet import error_of

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
_TOKEN_SECONDS: Final = 60


class NotYet(Exception):
    """What this attack takes is not there at the moment."""


class Attacker:
    """One sender of hostile requests at one tenant."""

    def __init__(self, wallet: InteractiveWallet, loot: Loot, claims: Mapping[str, str], seen: Seen) -> None:
        self.wallet, self.loot = wallet, loot
        self.pid = PID_ISSUER.issue(claims, holder=wallet.holder.private).text
        self.sent = 0
        """Requests, the connections that were cut among them."""
        self._seen = seen
        self._token: tuple[float, str] | None = None
        wallet.http.event_hooks = {"response": [self._count]}

    def _count(self, answer: httpx2.Response) -> None:
        self.sent += 1
        self._seen(answer)

    # What was seen of the other wallet

    def stolen(self, name: str) -> str:
        """Return a value of the other wallet's."""
        value: str | None = getattr(self.loot, name)
        if value is None:
            raise NotYet
        return value

    def replay(self, kind: str) -> httpx2.Response:
        """Send the other wallet's last request once more, octet for octet."""
        request = self.loot.requests.get(kind)
        if request is None:
            raise NotYet
        kept = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        return self.wallet.http.request(request.method, request.url, headers=kept, content=request.content)

    # What is his own

    def asked(self) -> httpx2.Response:
        """Begin a session."""
        return self.wallet.begin()

    def token(self) -> str:
        """Return an access token that works."""
        now = time.monotonic()
        if self._token is None or now - self._token[0] > _TOKEN_SECONDS:
            code = self.wallet.show(self.asked(), self.pid).json()["code"]
            self._token = (now, self.wallet.exchange(code).json()["access_token"])
        return self._token[1]

    # How it is sent

    def post(
        self, path: str, content: str | bytes, content_type: str | None = FORM, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Post octets."""
        typed = {} if content_type is None else {"Content-Type": content_type}
        return self.wallet.http.post(self.wallet.issuer + path, content=content, headers={**typed, **(headers or {})})

    def ask_credential(self, content: str | bytes, content_type: str = JSON) -> httpx2.Response:
        """Post octets to the credential endpoint with a token and a proof that are right."""
        token = self.token()
        self.wallet.c_nonce()
        proof = self.wallet.dpop(
            "POST", f"{self.wallet.issuer}/credential", access_token=token, nonce=self.wallet.nonces["resource"]
        )
        return self.post("/credential", content, content_type, {"Authorization": f"DPoP {token}", "DPoP": proof})

    def prove(self, jwt: str) -> httpx2.Response:
        """Ask for a credential with this key proof, all else right."""
        body = {"credential_configuration_id": "student-card", "proofs": {"jwt": [jwt]}}
        return self.ask_credential(json.dumps(body))

    def raw(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str | bytes, str | bytes]] = (),
        body: bytes = b"",
        *,
        host: str | None = None,
    ) -> RawAnswer:
        """Send a request as octets; the target begins after the tenant where it begins with `~`."""
        return self.octets(self.request(method, target, headers, body, host=host))

    def request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str | bytes, str | bytes]] = (),
        body: bytes = b"",
        *,
        host: str | None = None,
    ) -> bytes:
        """Return a request as octets."""
        url = httpx2.URL(self.wallet.issuer)
        path = target.replace("~", url.path, 1)
        return raw_http.request(method, path, host=host or url.netloc, headers=[*headers], body=body)

    def octets(self, octets: bytes) -> RawAnswer:
        """Send octets."""
        self.sent += 1
        return raw_http.exchange(self.wallet.issuer, octets, address=self.wallet.address)

    def cut(self, pieces: Sequence[bytes], *, pause: float = 0.05) -> None:
        """Send pieces slowly, then hang up without having read anything."""
        self.sent += 1
        with raw_http.connect(self.wallet.issuer, address=self.wallet.address) as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)

    def present(self, **bent: Any) -> httpx2.Response:
        """Present his own PID in a session of his own, bent."""
        return self.wallet.show(self.asked(), bent.pop("credential", self.pid), **bent)


def told(answer: httpx2.Response | RawAnswer | None) -> str:
    """Return what an attack is told, as the tables write it: status and error."""
    match answer:
        case None:
            return "nothing"
        case RawAnswer():
            try:
                error = answer.json().get("error")
            except (ValueError, AttributeError):
                error = None
            return " ".join([str(answer.status) if answer.status else "closed", *([error] if error else [])])
        case _:
            status, error = error_of(answer)
            return " ".join([str(status), *([error] if error else [])])
