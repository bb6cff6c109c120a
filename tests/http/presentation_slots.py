"""The two JWTs of a presentation as places where a JWT of somebody else is judged.

A presentation that does not hold ends its session. To send many with all around them right, the session's row is put
back as it was before each of them: so each is refused for what is wrong with it.
"""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from tests.http.interactive import assert_denied
from tests.http.issued import decoded
from tests.http.slots import FORM, Message, Slot
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet, only_disclosing
from tests.support.server import RunningServer


@dataclass
class PresentationSlot(Slot):
    """One of the JWTs of a presentation in a session that waits for it."""

    row: dict[str, Any] = field(default_factory=dict)
    """The session as it waits."""

    def post(self, message: Message) -> httpx2.Response:
        """Send a message to the session as it was in the beginning."""
        rewind(self.server, self.row)
        return super().post(message)

    def assert_refused(self, answer: httpx2.Response, code: str | None = None) -> None:
        """The presentation does not hold, and the session has failed."""
        assert_denied(answer)
        assert session_row(self.server, self.row["session_id"])["status"] == "failed"


def issuer_jwt(server: RunningServer, wallet: InteractiveWallet, person: Person) -> PresentationSlot:
    """The issuer's JWT, by the issuer's key; whatever it is, its holder presents it rightly."""
    asked = wallet.begin(dpop=False)
    text = only_disclosing(person.pid, "given_name", "family_name")
    token, _, disclosures = text.partition("~")
    header, payload = (decoded(segment) for segment in token.split(".")[:2])

    def message(token: str) -> Message:
        sd_jwt = f"{token}~{disclosures}"
        return _response(wallet, asked, sd_jwt + wallet.key_binding(sd_jwt, asked.json()["openid4vp_request"]))

    return _slot("issuer's JWT", server, wallet, asked, _key_of_issuer(server), header, payload, message)


def key_binding_jwt(server: RunningServer, wallet: InteractiveWallet, person: Person) -> PresentationSlot:
    """The key binding JWT, by the holder's key."""
    asked = wallet.begin(dpop=False)
    sd_jwt = only_disclosing(person.pid, "given_name", "family_name")
    right = wallet.key_binding(sd_jwt, asked.json()["openid4vp_request"])
    header, payload = (decoded(segment) for segment in right.split(".")[:2])

    def message(token: str) -> Message:
        return _response(wallet, asked, sd_jwt + token)

    return _slot("key binding", server, wallet, asked, wallet.holder.private, header, payload, message)


def _slot(
    name: str,
    server: RunningServer,
    wallet: InteractiveWallet,
    asked: httpx2.Response,
    key: ec.EllipticCurvePrivateKey,
    header: dict[str, Any],
    payload: dict[str, Any],
    message: Callable[[str], Message],
) -> PresentationSlot:
    row = waiting_row(server)
    return PresentationSlot(name, server, wallet, (400, "access_denied"), key, header, payload, message, row)


def _response(wallet: InteractiveWallet, asked: httpx2.Response, presentation: str) -> Message:
    response = json.dumps({"vp_token": {"pid": [presentation]}})
    form = {"auth_session": asked.json()["auth_session"], "openid4vp_response": response}
    return Message(wallet.endpoint, [FORM], urlencode(form).encode())


def _key_of_issuer(server: RunningServer) -> ec.EllipticCurvePrivateKey:
    """The key that signs personal IDs, taken from the store: no attacker has it, so no attack hides behind it."""
    [stored] = [key for key in server.store(lambda store: store.signing_keys.all()) if key.purpose == "credential"]
    key = load_der_private_key(stored.private_key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _connection(server: RunningServer) -> sqlite3.Connection:
    connection = sqlite3.connect(server.settings.database_url.removeprefix("sqlite:///"))
    connection.row_factory = sqlite3.Row
    return connection


def waiting_row(server: RunningServer) -> dict[str, Any]:
    """The row of the session that was begun last."""
    with closing(_connection(server)) as connection:
        return dict(connection.execute("SELECT * FROM sessions ORDER BY rowid DESC LIMIT 1").fetchone())


def session_row(server: RunningServer, session_id: str) -> dict[str, Any]:
    """The row of a session."""
    with closing(_connection(server)) as connection:
        return dict(connection.execute("SELECT * FROM sessions WHERE session_id = ?", [session_id]).fetchone())


def rewind(server: RunningServer, row: dict[str, Any]) -> None:
    """Put the row of a session back."""
    assignments = ", ".join(f"{name} = :{name}" for name in row)
    with closing(_connection(server)) as connection, connection:
        connection.execute(f"UPDATE sessions SET {assignments} WHERE session_id = :session_id", row)  # noqa: S608  columns of the table
