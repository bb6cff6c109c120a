"""A wallet for tests at the interactive authorization endpoint; every message can be bent, as with `RawWallet`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2

from app.protocol import base64url
from tests.support.raw_wallet import Browser, Key, RawWallet, merged, redirect_parameters
from tests.support.server import RunningServer

URN_PREFIX = "urn:openid:dcp:iae:"


def only_disclosing(credential: str, *names: str) -> str:
    """Return a credential with the disclosures of these claims only, those within other claims included."""
    token, *disclosures, _ = credential.split("~")
    kept = [one for one in disclosures if json.loads(base64url.decode(one))[-2] in names]
    return "~".join([token, *kept, ""])


@dataclass
class InteractiveWallet(RawWallet):
    """One wallet at one issuer, which speaks one of the two token tables."""

    urn: bool = False
    scope: str = "student-card"

    @property
    def endpoint(self) -> str:
        """The interactive authorization endpoint."""
        return f"{self.issuer}/interactive"

    @property
    def presentation_type(self) -> str:
        """What this wallet calls a presentation."""
        return (URN_PREFIX if self.urn else "") + "openid4vp_presentation"

    @property
    def web_type(self) -> str:
        """What this wallet calls a visit of a browser."""
        return (URN_PREFIX if self.urn else "") + "redirect_to_web"

    def initial_form(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the form of an initial request."""
        both = f"{self.presentation_type},{self.web_type}"
        return merged(self.push_form({"scope": self.scope, "interaction_types_supported": both}), changes)

    def begin(self, changes: Mapping[str, Any] | None = None, **options: Any) -> httpx2.Response:
        """Send an initial request."""
        return self.post("/interactive", family="as", data=self.initial_form(changes), **options)

    def follow_up(
        self, asked: httpx2.Response | str, changes: Mapping[str, Any] | None = None, **options: Any
    ) -> httpx2.Response:
        """Send a follow-up with the handle of an answer, or with that handle."""
        handle = asked if isinstance(asked, str) else asked.json()["auth_session"]
        return self.post("/interactive", family="as", data=merged({"auth_session": handle}, changes), **options)

    def key_binding(
        self,
        sd_jwt: str,
        request: Mapping[str, Any],
        *,
        key: Key | None = None,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the key binding JWT that presents an SD-JWT for a request; `header` and `claims` bend it."""
        parts = urlsplit(self.issuer)
        payload = {
            "iat": self.clock.now(),
            "aud": f"iae:{parts.scheme}://{parts.netloc}",
            "nonce": request["nonce"],
            "sd_hash": base64url.encode(hashlib.sha256(sd_jwt.encode()).digest()),
        }
        return (key or self.holder).sign_jwt(merged({"typ": "kb+jwt", "alg": "ES256"}, header), merged(payload, claims))

    def present(
        self, asked: httpx2.Response, credential: str, *, disclose: Sequence[str] | None = None, **bent: Any
    ) -> str:
        """Return a presentation for the request of an answer: what it asks for, or the claims in `disclose`."""
        request = asked.json()["openid4vp_request"]
        if disclose is None:
            queries = request["dcql_query"]["credentials"]
            disclose = [claim["path"][-1] for query in queries for claim in query["claims"]]
        sd_jwt = only_disclosing(credential, *disclose)
        return sd_jwt + self.key_binding(sd_jwt, request, **bent)

    def respond(self, asked: httpx2.Response, vp_token: Any, **options: Any) -> httpx2.Response:
        """Send presentations by the id of their query; a text is the presentation for the query `pid`."""
        by_query = {"pid": [vp_token]} if isinstance(vp_token, str) else vp_token
        return self.send(asked, {"vp_token": by_query}, **options)

    def send(self, asked: httpx2.Response | str, response: Any, **options: Any) -> httpx2.Response:
        """Send an OpenID4VP response, whatever it is; a text is sent as it is."""
        text = response if isinstance(response, str) else json.dumps(response)
        return self.follow_up(asked, {"openid4vp_response": text}, **options)

    def show(self, asked: httpx2.Response, credential: str, **bent: Any) -> httpx2.Response:
        """Present a credential, and send that."""
        return self.respond(asked, self.present(asked, credential, **bent))

    def web_url(self, asked: httpx2.Response) -> str:
        """Return where the browser goes with an answer that asks for one."""
        query = {"client_id": self.client_id, "request_uri": asked.json()["request_uri"]}
        return f"{self.issuer}/authorize?{urlencode(query)}"

    def agree(self, asked: httpx2.Response, *, sign_in_as: str | None = None) -> dict[str, str]:
        """Go through the pages with a new browser; return the parameters of the redirect to the wallet."""
        browser = Browser(self.verify, transport=self.transport)
        try:
            page = browser.get(self.web_url(asked))
            if sign_in_as is not None:
                page = browser.sign_in(page, sign_in_as)
            return redirect_parameters(page if page.status_code == 303 else browser.submit(page))
        finally:
            browser.close()

    def interactive_code(self, credential: str) -> str:
        """Walk to a code: present, agree where a browser is asked for, and present again where that is not all."""
        answer = self.show(self.begin(), credential)
        assert answer.status_code == 200, answer.text
        if "code" in answer.json():
            return str(answer.json()["code"])
        reached = self.agree(answer)
        if "code" in reached:
            return reached["code"]
        asked = self.follow_up(reached["auth_session"], {"code_verifier": self.verifier})
        answer = self.show(asked, credential)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["code"])

    def interactive_token(self, credential: str) -> str:
        """Walk to an access token."""
        answer = self.exchange(self.interactive_code(credential))
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def derived(
        self, access_token: str, *, key: Key | None = None, changes: Mapping[str, Any] | None = None, **bent: Any
    ) -> httpx2.Response:
        """Ask for the credential of the scope, bound to `key`, by default to the one that presents."""
        proof = self.key_proof(self.c_nonce(), key=key, **bent)
        return self.credential(
            access_token,
            {"credential_configuration_id": self.scope, "proofs": {"jwt": [proof]}, **(changes or {})},
        )


def interactive_wallet(server: RunningServer, slug: str = "university", **options: Any) -> InteractiveWallet:
    """Return a wallet at a tenant of a running service."""
    return InteractiveWallet(server.issuer(slug), server.clock, **options)
