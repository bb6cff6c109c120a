"""Requests with DPoP proofs, and the nonces servers hand out for them (RFC 9449 §8, §9)."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from app.wallet.addresses import origin
from app.wallet.http import Exchange, Http
from app.wallet.keys import Now, Random, WalletKey, dpop_proof

Role = Literal["authorization server", "resource server"]
"""A nonce is good only at the server role that gave it, even when both roles share an origin (RFC 9449 §9)."""


class DpopSender:
    """Sends requests with proofs of one key; answers `use_dpop_nonce` by one more attempt."""

    def __init__(self, http: Http, key: WalletKey, *, now: Now, random: Random) -> None:
        self._http = http
        self._key = key
        self._now = now
        self._random = random
        self._nonces: dict[tuple[str, Role], str] = {}

    def post(
        self,
        url: str,
        purpose: str,
        role: Role,
        *,
        form: Iterable[tuple[str, str]] | None = None,
        json_body: Mapping[str, Any] | None = None,
        access_token: str | None = None,
    ) -> Exchange:
        """POST with a fresh proof; with an access token under the `DPoP` scheme (RFC 9449 §7.1)."""
        pairs = None if form is None else list(form)

        def attempt() -> Exchange:
            proof = dpop_proof(
                self._key,
                "POST",
                url,
                nonce=self._nonces.get((origin(url), role)),
                access_token=access_token,
                now=self._now,
                random=self._random,
            )
            headers = {"dpop": proof}
            if access_token is not None:
                headers["authorization"] = f"DPoP {access_token}"
            exchange = self._http.send("POST", url, purpose, headers=headers, form=pairs, json_body=json_body)
            self.remember(exchange, role)
            return exchange

        first = attempt()
        error = first.error()
        # One retry only: a server that keeps asking would keep us busy for ever (G-15).
        if error is not None and error[0] == "use_dpop_nonce" and "dpop-nonce" in first.headers:
            return attempt()
        return first

    def remember(self, exchange: Exchange, role: Role) -> None:
        """Keep the nonce of an answer, if it carries one, for the next proof (RFC 9449 §8.2)."""
        if nonce := exchange.headers.get("dpop-nonce"):
            self._nonces[origin(exchange.url), role] = nonce
