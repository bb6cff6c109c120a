"""Journeys of good wallets, one request at a time: whoever drives one may do something else between any two."""

import json
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field

import httpx2

from app.protocol import base64url
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.raw_wallet import Browser, redirect_parameters

Seen = Callable[[httpx2.Response], None]
"""Is told of every answer."""


@dataclass
class Loot:
    """What an attacker who sees and hears everything has of a wallet: its latest messages and values."""

    requests: dict[str, httpx2.Request] = field(default_factory=dict)
    """The last one of each kind that was accepted."""
    handle: str | None = None
    """Of a session that waits for a presentation."""
    code: str | None = None
    """That was not exchanged yet."""
    spent_handle: str | None = None
    spent_code: str | None = None
    access_token: str | None = None

    def secrets(self) -> dict[str, str]:
        """Return the values that nobody may find anywhere."""
        values = {name: getattr(self, name) for name in ("spent_handle", "spent_code", "access_token")}
        return {name: value for name, value in values.items() if value is not None}


class GoodJourneyFailed(Exception):
    """A request that nothing is wrong with was refused."""


@dataclass
class GoodWallet:
    """Somebody with a personal ID, who gets credentials with it."""

    wallet: InteractiveWallet
    pid: str
    given_name: str
    """As the PID has it; the credential must have it too."""
    seen: Seen
    loot: Loot = field(default_factory=Loot)

    def student_card(self) -> Generator[None]:
        """Get a credential for a presentation."""
        self.wallet.scope = "student-card"
        asked = self._begin()
        yield
        yield from self._credential(self._present(asked).json()["code"])

    def diploma(self) -> Generator[None]:
        """Get one for a presentation and a browser in which somebody agrees."""
        self.wallet.scope = "diploma"
        asked = self._begin()
        yield
        agreed = self._present(asked)
        yield
        with closing(Browser(address=self.wallet.address)) as browser:
            browser.http.event_hooks = {"response": [self.seen]}
            page = self._good("page", browser.get(self.wallet.web_url(agreed)))
            yield
            back = self._good("agreement", browser.submit(page), 303)
        yield from self._credential(redirect_parameters(back)["code"])

    def _begin(self) -> httpx2.Response:
        asked = self._good("initial request", self.wallet.begin())
        self.loot.handle = asked.json()["auth_session"]
        return asked

    def _present(self, asked: httpx2.Response) -> httpx2.Response:
        answer = self._good("presentation", self.wallet.show(asked, self.pid))
        self.loot.handle, self.loot.spent_handle = None, self.loot.handle
        return answer

    def _credential(self, code: str) -> Generator[None]:
        self.loot.code = code
        yield
        token = self._good("token", self.wallet.exchange(code)).json()["access_token"]
        self.loot.code, self.loot.spent_code, self.loot.access_token = None, code, token
        yield
        nonce = self._good("nonce", self.wallet.http.post(f"{self.wallet.issuer}/nonce")).json()["c_nonce"]
        yield
        proofs = {"jwt": [self.wallet.key_proof(nonce)]}
        body = {"credential_configuration_id": self.wallet.scope, "proofs": proofs}
        issued = self._good("credential", self.wallet.credential(token, body))
        _, *disclosures, _ = issued.json()["credentials"][0]["credential"].split("~")
        if self.given_name not in [json.loads(base64url.decode(each))[-1] for each in disclosures]:
            raise GoodJourneyFailed("the credential is another person's")
        yield

    def _good(self, kind: str, answer: httpx2.Response, status: int = 200) -> httpx2.Response:
        if answer.status_code != status:
            raise GoodJourneyFailed(f"{kind}: {answer.status_code} {answer.text[:200]}")
        self.loot.requests[kind] = answer.request
        return answer
