"""An issued credential taken apart, and refusals judged, without the code under test."""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.raw_wallet import error_of

_DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")


def decoded(segment: str) -> Any:
    """The JSON value of a base64url segment."""
    return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


@dataclass(frozen=True)
class Issued:
    """An SD-JWT VC in its parts."""

    text: str
    header: dict[str, Any]
    payload: dict[str, Any]
    signature: str
    disclosures: list[list[Any]]

    @property
    def salts(self) -> set[str]:
        return {salt for salt, *_ in self.disclosures}

    @property
    def digests(self) -> set[str]:
        return set(_digests(self.payload))

    @property
    def disclosed(self) -> dict[str, Any]:
        return {name: value for _, name, value in self.disclosures}


def _digests(members: dict[str, Any]) -> list[str]:
    found: list[str] = list(members.get("_sd", []))
    for value in members.values():
        if isinstance(value, dict):
            found += _digests(value)
    return found


def issued(answer: httpx2.Response) -> Issued:
    """The one credential of an answer that holds exactly that (CR-16)."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    [entry] = answer.json()["credentials"]
    assert answer.json() == {"credentials": [entry]}
    assert entry.keys() == {"credential"}
    return taken_apart(entry["credential"])


def taken_apart(credential: str) -> Issued:
    """Take an SD-JWT without key binding apart."""
    token, *disclosures, rest = credential.split("~")
    assert rest == ""
    header, payload, signature = token.split(".")
    return Issued(credential, decoded(header), decoded(payload), signature, [decoded(part) for part in disclosures])


def assert_refused(answer: httpx2.Response, status: int, code: str | None) -> None:
    """A refusal of the credential endpoint: status, code, form; and nothing else in it."""
    assert error_of(answer) == (status, code), (answer.status_code, answer.text)
    assert answer.headers["cache-control"] == "no-store"
    if status in (401, 403):
        assert answer.headers["www-authenticate"].startswith("DPoP ")
    if code is None:
        assert answer.content == b""
        return
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"error", "error_description"}
    assert _DESCRIPTION.fullmatch(body["error_description"])
