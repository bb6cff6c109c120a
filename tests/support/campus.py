"""Tenants and people for the tests of interactive sessions.

`pid-provider` and `other-tenant` issue personal IDs. `university` and `college` take those of the former; `academy`
takes those of an authority outside, so that its tests can issue whatever they like.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from app.document.model import TenantDocument
from tests.support.documents import OTHER_SLUG, PID, UNIVERSITY, document, university
from tests.support.presented import PID_CA
from tests.support.raw_wallet import Browser, Key, redirect_parameters
from tests.support.server import RunningServer

_MAX = {"given_name": "Max", "family_name": "Power", "birthdate": "1970-01-01", "address": {"locality": "Ulm"}}
_PEOPLE = [PID["users"][0], {**PID["users"][1], "claims": _MAX}]


def pid_provider(slug: str = "pid-provider") -> TenantDocument:
    """Return an issuer of personal IDs, who knows all about Max too; its proof of residence has a name in it."""
    residence = [
        {"path": ["address", "locality"], "source": {"from": "user"}},
        {"path": ["given_name"], "source": {"from": "constant", "value": "Whoever Lives Here"}},
    ]
    return document({"tenant": {"slug": slug}, "users": _PEOPLE, "credentials": {"residence": {"claims": residence}}})


def _presented(path: list[str], *, step: str = "present", credential: str = "pid") -> dict[str, Any]:
    return {"path": path, "source": {"from": "presentation", "step": step, "credential": credential}}


def _card(name: str, sequence: str, claims: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    return {
        "format": "dc+sd-jwt",
        "vct": f"urn:example:{name}:1",
        "scope": name,
        "sequence": sequence,
        "display": [{"name": name, "locale": "en"}],
        "claims": claims,
        **members,
    }


def _present(step: str = "present", presentation: str = "name") -> dict[str, Any]:
    return {"type": "presentation", "id": step, "presentation": presentation}


_PID_QUERY = UNIVERSITY["presentations"]["name"]["dcql_query"]["credentials"][0]
_RESIDENCE_QUERY = {
    "id": "residence",
    "format": "dc+sd-jwt",
    "meta": {"vct_values": ["urn:example:residence:1"]},
    "claims": [{"path": ["address", "locality"]}],
}
_LOGIN, _CONFIRM = {"type": "login", "id": "login"}, {"type": "confirm", "id": "confirm", "show_values": True}
_ANSWER_OF_LOGIN = {"from": "user", "path": ["given_name"]}

MORE: dict[str, Any] = {
    "presentations": {
        "pid-and-residence": {
            "dcql_query": {"credentials": [_PID_QUERY, _RESIDENCE_QUERY]},
            "trust": {"pid": ["pid-provider"], "residence": ["pid-provider"]},
        },
    },
    "sequences": {
        "sign-in": {"steps": [_LOGIN, _CONFIRM]},
        "sign-in-and-present": {"steps": [_LOGIN, _present()], "holder_binding": "same_key"},
        "present-confirm-present": {
            "steps": [_present(), _CONFIRM, _present("again")],
            "holder_binding": "same_key",
        },
        "sign-in-present-confirm": {"steps": [_LOGIN, _present(), _CONFIRM], "holder_binding": "same_key"},
        "present-sign-in-confirm": {"steps": [_present(), _LOGIN, _CONFIRM], "holder_binding": "same_key"},
        "present-two": {"steps": [_present(presentation="pid-and-residence")], "holder_binding": "same_key"},
    },
    "credentials": {
        # The person who signs in and the one who presents: by name the same.
        "library-card": _card(
            "library-card",
            "sign-in-and-present",
            [_presented(["given_name"]), {"path": ["family_name"], "source": {"from": "user"}}],
            same_person=[[_ANSWER_OF_LOGIN, _presented(["given_name"])["source"] | {"path": ["given_name"]}]],
        ),
        "guest-card": _card("guest-card", "sign-in-present-confirm", [_presented(["given_name"])]),
        "award": _card("award", "present-sign-in-confirm", [_presented(["given_name"])]),
        # Nothing of what was presented is in it; it goes to who presented all the same.
        "sports-card": _card(
            "sports-card", "present", [{"path": ["hall"], "source": {"from": "constant", "value": "1"}}]
        ),
        "member-card": _card(
            "member-card",
            "sign-in-present-confirm",
            [_presented(["given_name"])],
            same_person=[[_ANSWER_OF_LOGIN, _presented(["given_name"])["source"] | {"path": ["given_name"]}]],
        ),
        "visitor-card": _card("visitor-card", "sign-in", [{"path": ["given_name"], "source": {"from": "user"}}]),
        "alumni-card": _card("alumni-card", "present-confirm-present", [_presented(["given_name"])]),
        "parking-permit": _card(
            "parking-permit",
            "present-two",
            [_presented(["given_name"]), _presented(["address", "locality"], credential="residence")],
            same_person="unchecked",
        ),
    },
    "users": _PEOPLE,
}
"""What the university of the interactive tests has besides."""


def campus_university(slug: str = "university", changes: dict[str, Any] | None = None) -> TenantDocument:
    """Return a university that takes the personal IDs of `pid-provider`, with further changes."""
    return university({**MORE, "tenant": {"slug": slug}, **(changes or {})})


def academy(slug: str = "academy", changes: dict[str, Any] | None = None) -> TenantDocument:
    """Return a university that takes the personal IDs of `PID_ISSUER`, with further changes."""
    outside = {"pid-provider": {"type": "x509", "anchors": [PID_CA.pem], "tenant": None}}
    return campus_university(slug, {"trust": outside, **(changes or {})})


def campus() -> list[TenantDocument]:
    """Return the documents in the order they are applied."""
    return [
        pid_provider(),
        pid_provider(OTHER_SLUG),
        campus_university(),
        university({"tenant": {"slug": "college"}}),
        academy(),
    ]


@dataclass(frozen=True)
class Person:
    """Somebody with credentials, all bound to one key."""

    holder: Key
    pid: str
    residence: str


def person(server: RunningServer, username: str, *, issuer: str = "pid-provider", holder: Key | None = None) -> Person:
    """Have somebody's credentials issued."""
    with server.wallet(issuer, holder=holder or Key()) as wallet, closing(Browser()) as browser:
        pushed = wallet.push({"scope": "pid residence"})
        code = redirect_parameters(browser.walk(wallet.authorize_url(pushed), username))["code"]
        token = wallet.exchange(code).json()["access_token"]
        answers = [wallet.credential(token, {"credential_configuration_id": name}) for name in ("pid", "residence")]
        return Person(wallet.holder, *(answer.json()["credentials"][0]["credential"] for answer in answers))
