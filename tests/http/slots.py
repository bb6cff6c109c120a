"""Every place where a JWT made by somebody else is judged, with all around it right.

A slot sends one JWT with a message that is right but for it. `good()` is the JWT that belongs there and `bent()` one
that differs from it in what a test says and is still signed by the rightful key: so nothing else explains a refusal.
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from tests.http.issued import assert_refused, decoded
from tests.http.refusals import assert_oauth_refused
from tests.protocol.jwts import b64, make_jwt
from tests.support import raw_http
from tests.support.raw_wallet import RawWallet, merged
from tests.support.server import RunningServer

FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


@dataclass(frozen=True)
class Message:
    """One POST."""

    url: str
    headers: list[tuple[str, str]]
    body: bytes

    def octets(self, *, host: str | None = None, target: str | None = None) -> bytes:
        """The message as octets, with another Host or request target if one is given."""
        parts = urlsplit(self.url)
        headers: list[tuple[str | bytes, str | bytes]] = [*self.headers]
        return raw_http.request(
            "POST", target or parts.path, host=host or parts.netloc, headers=headers, body=self.body
        )


@dataclass
class Slot:
    """One JWT of one message."""

    name: str
    server: RunningServer
    wallet: RawWallet
    refusal: tuple[int, str]
    key: ec.EllipticCurvePrivateKey
    header: dict[str, Any]
    payload: dict[str, Any]
    message: Callable[[str], Message]

    def good(self) -> str:
        """The JWT that belongs here."""
        return make_jwt(self.header, self.payload, self.key)

    def bent(
        self,
        header: dict[str, Any] | None = None,
        payload: dict[str, Any] | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> str:
        """The JWT with members changed, or left out where a change is `ABSENT`; signed by its rightful key."""
        return make_jwt(merged(self.header, header), merged(self.payload, payload), key or self.key)

    def post(self, message: Message) -> httpx2.Response:
        """Send a message."""
        return self.wallet.http.post(message.url, content=message.body, headers=message.headers)

    def send(self, token: str) -> httpx2.Response:
        """Send the message with a JWT in it."""
        return self.post(self.message(token))

    def assert_refused(self, answer: httpx2.Response, code: str | None = None) -> None:
        """The slot's own refusal, or one with another code."""
        status, own = self.refusal
        if self.name in ("DPoP at PAR", "DPoP at token"):
            assert_oauth_refused(answer, status, code or own)
        else:
            assert_refused(answer, status, code or own)

    def assert_all_refused(self, tokens: dict[str, str]) -> None:
        """Every JWT is refused, and none of them changed anything."""
        for what, token in tokens.items():
            try:
                self.assert_refused(self.send(token))
            except AssertionError as problem:
                raise AssertionError(f"{self.name}, {what}: {problem}") from None
        self.assert_kept()

    def anew(self) -> "Slot":
        """The same slot of another message."""
        return slot(self.name, self.server, self.wallet)

    def assert_kept(self) -> None:
        """The rightful message still succeeds: its code, nonce, `jti` and token are as they were."""
        answer = self.send(self.good())
        assert answer.status_code in (200, 201), answer.text


def slot(name: str, server: RunningServer, wallet: RawWallet) -> Slot:
    """Walk to where the slot is."""
    return _SLOTS[name](name, server, wallet)


def _dpop(wallet: RawWallet, url: str, nonce: str, **claims: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": wallet.key.public_jwk}
    now = wallet.clock.now()
    return header, {"jti": secrets.token_urlsafe(9), "htm": "POST", "htu": url, "iat": now, "nonce": nonce, **claims}


def _dpop_at_par(name: str, server: RunningServer, wallet: RawWallet) -> Slot:
    wallet.push()
    return _dpop_beside_form(name, server, wallet, "/par", wallet.push_form())


def _dpop_at_token(name: str, server: RunningServer, wallet: RawWallet) -> Slot:
    return _dpop_beside_form(name, server, wallet, "/token", wallet.exchange_form(wallet.code()))


def _dpop_beside_form(name: str, server: RunningServer, wallet: RawWallet, path: str, form: dict[str, str]) -> Slot:
    url, body = wallet.issuer + path, urlencode(form).encode()
    header, payload = _dpop(wallet, url, wallet.nonces["as"])
    return Slot(
        name,
        server,
        wallet,
        (400, "invalid_dpop_proof"),
        wallet.key.private,
        header,
        payload,
        lambda token: Message(url, [FORM, ("DPoP", token)], body),
    )


def _credential_message(wallet: RawWallet, *, access_token: str, proof: str, dpop: str | None = None) -> Message:
    url = f"{wallet.issuer}/credential"
    if dpop is None:
        dpop = wallet.dpop("POST", url, nonce=wallet.nonces["resource"], access_token=access_token)
    body = {"credential_configuration_id": "pid", "proofs": {"jwt": [proof]}}
    headers = [JSON, ("Authorization", f"DPoP {access_token}"), ("DPoP", dpop)]
    return Message(url, headers, json.dumps(body).encode())


def _dpop_at_credential(name: str, server: RunningServer, wallet: RawWallet) -> Slot:
    access_token = wallet.access_token()
    proof = wallet.key_proof(wallet.c_nonce())
    ath = b64(hashlib.sha256(access_token.encode()).digest())
    header, payload = _dpop(wallet, f"{wallet.issuer}/credential", wallet.nonces["resource"], ath=ath)

    return Slot(
        name,
        server,
        wallet,
        (401, "invalid_dpop_proof"),
        wallet.key.private,
        header,
        payload,
        lambda token: _credential_message(wallet, access_token=access_token, proof=proof, dpop=token),
    )


def _key_proof(name: str, server: RunningServer, wallet: RawWallet) -> Slot:
    access_token = wallet.access_token()
    return Slot(
        name,
        server,
        wallet,
        (400, "invalid_proof"),
        wallet.holder.private,
        {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": wallet.holder.public_jwk},
        {"aud": wallet.issuer, "iat": wallet.clock.now(), "nonce": wallet.c_nonce()},
        lambda token: _credential_message(wallet, access_token=access_token, proof=token),
    )


def _access_token(name: str, server: RunningServer, wallet: RawWallet) -> Slot:
    header, payload = (decoded(segment) for segment in wallet.access_token().split(".")[:2])
    proof = wallet.key_proof(wallet.c_nonce())
    return Slot(
        name,
        server,
        wallet,
        (401, "invalid_token"),
        _tenants_key(server),
        header,
        payload,
        lambda token: _credential_message(wallet, access_token=token, proof=proof),
    )


def _tenants_key(server: RunningServer) -> ec.EllipticCurvePrivateKey:
    """The key that signs access tokens, taken from the store: no attacker has it, so no attack hides behind it."""
    [stored] = [key for key in server.store(lambda store: store.signing_keys.all()) if key.purpose == "access_token"]
    key = load_der_private_key(stored.private_key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


_SLOTS: dict[str, Callable[[str, RunningServer, RawWallet], Slot]] = {
    "DPoP at PAR": _dpop_at_par,
    "DPoP at token": _dpop_at_token,
    "DPoP at credential": _dpop_at_credential,
    "key proof": _key_proof,
    "access token": _access_token,
}

DPOP_SLOTS = pytest.mark.parametrize("name", ["DPoP at PAR", "DPoP at token", "DPoP at credential"])
JWT_SLOTS = pytest.mark.parametrize("name", ["DPoP at token", "DPoP at credential", "key proof", "access token"])
EMBEDDED_KEY_SLOTS = pytest.mark.parametrize("name", ["DPoP at token", "DPoP at credential", "key proof"])
