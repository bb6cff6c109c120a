"""After journeys, finished and broken off, no secret and no claim is found in database, dump or log."""

import base64
import hashlib
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from app.adapters.db.engine import sqlite_file
from app.document.model import TenantDocument
from app.protocol import base64url
from tests.journeys.canaries import canary, database_files, found
from tests.support.documents import document
from tests.support.postgres import dump
from tests.support.raw_wallet import PASSWORD, REDIRECT_URI, Browser, redirect_parameters
from tests.support.served import serving
from tests.support.server import MASTER_KEY, RunningServer

PERSON = {name: canary(name) for name in ("given_name", "family_name", "birthdate", "locality")}
ENTERED = {name: canary(name) for name in ("username", "password", "wrong_password", "unknown_username")}
CONSTANT, HINT, STATE = canary("constant"), canary("hint"), canary("state")
CLIENT_ID = canary("client_id")
"""Stored and logged in plain text: the search has to find it."""

GUESSABLE = [*PERSON, *ENTERED, "constant", "hint", "state"]


def canary_document() -> TenantDocument:
    claims: list[dict[str, Any]] = [{"path": [name], "source": {"from": "user"}} for name in PERSON]
    claims.append({"path": ["constant"], "source": {"from": "constant", "value": CONSTANT}})
    person = {"username": ENTERED["username"], "password": ENTERED["password"], "demo_hint": HINT, "claims": PERSON}
    return document(
        {
            "clients": {
                "registered": [{"client_id": CLIENT_ID, "name": "Canary Wallet", "redirect_uris": [REDIRECT_URI]}]
            },
            "credentials": {"pid": {"claims": claims}},
            "users": [person, {"username": "max", "password": PASSWORD, "claims": {}}],
        }
    )


class Walks:
    """Journeys of every kind, and each secret that came up on them."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.secrets: dict[str, str] = {**PERSON, **ENTERED, "constant": CONSTANT, "hint": HINT, "state": STATE}

    def note(self, name: str, value: str) -> None:
        assert len(value) >= 16, name
        self.secrets[f"{name} {len(self.secrets)}"] = value

    def _browser_at_the_second_page(self, wallet: Any, browser: Browser) -> Any:
        pushed = wallet.push({"state": STATE})
        self.note("request_uri handle", pushed.json()["request_uri"].rpartition(":")[2])
        first = browser.get(wallet.authorize_url(pushed))
        assert HINT not in first.text
        for wrong in ({"username": ENTERED["unknown_username"]}, {"password": ENTERED["wrong_password"]}):
            fields = {"username": ENTERED["username"], "password": ENTERED["password"], **wrong}
            assert "is not right" in browser.sign_in(first, **fields).text
        second = browser.sign_in(first, ENTERED["username"], ENTERED["password"])
        assert PERSON["family_name"] in second.text
        for cookie in browser.http.cookies.jar:
            self.note("cookie", str(cookie.value))
        return second

    def finish(self) -> None:
        with self.server.wallet(client_id=CLIENT_ID) as wallet, closing(Browser()) as browser:
            done = redirect_parameters(browser.submit(self._browser_at_the_second_page(wallet, browser)))
            assert done["state"] == STATE
            code = done["code"]
            self.note("code", code)
            wrong = canary("verifier")
            self.note("wrong verifier", wrong)
            self.note("verifier", wallet.verifier)
            assert wallet.exchange(code, {"code_verifier": wrong}).status_code == 400
            unknown = canary("code")
            self.note("unknown code", unknown)
            assert wallet.exchange(unknown).status_code == 400
            answer = wallet.exchange(code)
            token = answer.json()["access_token"]
            self.note("access token", token)
            self.note("access token's signature", token.rpartition(".")[2])
            self.note("DPoP proof", answer.request.headers["DPoP"])
            c_nonce = wallet.c_nonce()
            proof = wallet.key_proof(c_nonce)
            self.note("c_nonce", c_nonce)
            self.note("key proof", proof)
            stale = wallet.key_proof(canary("c_nonce"))
            assert wallet.credential(token, {"proofs": {"jwt": [stale]}}).status_code == 400
            issued = wallet.credential(token, {"proofs": {"jwt": [proof]}})
            credential = issued.json()["credentials"][0]["credential"]
            for disclosure in credential.split("~")[1:-1]:
                self.note("disclosure", disclosure)
                self.note("salt", base64url.decode(disclosure)[2:45].decode())
            self.note("credential", credential.split("~")[0])
            for family, nonce in wallet.nonces.items():
                self.note(f"{family} nonce", nonce)

    def abandon_at_the_second_page(self) -> None:
        with self.server.wallet(client_id=CLIENT_ID) as wallet, closing(Browser()) as browser:
            self._browser_at_the_second_page(wallet, browser)

    def leave_a_code_unused(self) -> None:
        with self.server.wallet(client_id=CLIENT_ID) as wallet, closing(Browser()) as browser:
            done = browser.submit(self._browser_at_the_second_page(wallet, browser))
            self.note("code", redirect_parameters(done)["code"])

    def refuse(self) -> None:
        with self.server.wallet(client_id=CLIENT_ID) as wallet, closing(Browser()) as browser:
            refused = browser.submit(self._browser_at_the_second_page(wallet, browser), {"action": "refuse"})
            assert redirect_parameters(refused)["error"] == "access_denied"

    def octets(self) -> dict[str, bytes]:
        """Every secret, those that never left the service with them."""
        known = {name: value.encode() for name, value in self.secrets.items()}
        known["master key"] = base64url.decode(MASTER_KEY)
        for key in self.server.store(lambda store: store.signing_keys.all()):
            known[f"{key.purpose} key"] = key.private_key
            loaded = load_der_private_key(key.private_key, password=None)
            assert isinstance(loaded, EllipticCurvePrivateKey)
            known[f"{key.purpose} key's scalar"] = loaded.private_numbers().private_value.to_bytes(32)
        return known


def remains(server: RunningServer) -> Iterator[bytes]:
    """Yield what the database leaves for a thief: SQLite's files as they are and checkpointed, PostgreSQL's dump."""
    url = server.settings.database_url
    file = sqlite_file(url)
    if file is None:
        yield dump(url)
        return
    yield database_files(url)
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()[0] == 0
    connection.close()
    yield database_files(url)


@pytest.mark.rule("CR-24", "M-16", "O-08")
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_no_canary_is_found(request: pytest.FixtureRequest, tmp_path: Path, log: io.StringIO, kind: str) -> None:
    with serving(request, kind, tmp_path, canary_document()) as server:
        walks = Walks(server)
        walks.finish()
        walks.abandon_at_the_second_page()
        walks.leave_a_code_unused()
        walks.refuse()
        known = walks.octets()
        assert len(known) > 40
        for left in remains(server):
            assert found(left, known, guessable=GUESSABLE) == set()
            # The search itself works: what is stored in plain text is found, as text and among the digests.
            assert found(left, {"client_id": CLIENT_ID.encode()}) == {"client_id"}
        # What is sealed is there: the search would have met it.
        assert server.store(lambda store: store.users.by_username(ENTERED["username"])) is not None
    logged = log.getvalue().encode()
    assert found(logged, known, guessable=GUESSABLE) == set()
    assert found(logged, {"client_id": CLIENT_ID.encode()}) == {"client_id"}


@pytest.mark.parametrize("form", ["text", "hex", "base64", "sha256"])
def test_the_search_finds_what_is_hidden_badly(form: str) -> None:

    secret = canary("hidden").encode()
    hidden = {
        "text": secret,
        "hex": secret.hex().encode(),
        "base64": base64.b64encode(b'{"a":"' + secret + b'"}'),
        "sha256": hashlib.sha256(secret).hexdigest().encode(),
    }[form]
    around = b"left" + hidden + b"right"
    assert found(around, {"secret": secret}, guessable=["secret"]) == {"secret"}
    assert found(b"left and right", {"secret": secret}, guessable=["secret"]) == set()
