"""Tenant documents for tests."""

from typing import Any

import msgspec

from app.document.model import TenantDocument
from tests.support.raw_wallet import PASSWORD, REDIRECT_URI, USERNAME

PID: dict[str, Any] = {
    "schema": "vestibule.tenant/1",
    "tenant": {"slug": "pid-provider", "display": [{"name": "PID Provider", "locale": "en"}]},
    "clients": {
        "registered": [
            {
                "client_id": "demo-wallet",
                "name": "Demo Wallet",
                "redirect_uris": [REDIRECT_URI, "https://wallet.example/cb", "https://wallet.example/cb?x=1"],
            },
            {"client_id": "other-wallet", "name": "Other Wallet", "redirect_uris": [REDIRECT_URI]},
            {"client_id": "retired-wallet", "name": "Retired", "redirect_uris": [REDIRECT_URI], "active": False},
        ]
    },
    "credentials": {
        "pid": {
            "format": "dc+sd-jwt",
            "vct": "urn:eudi:pid:1",
            "scope": "pid",
            "sequence": "login-and-confirm",
            "display": [{"name": "Personal ID", "locale": "en"}],
            "claims": [
                {
                    "path": ["given_name"],
                    "source": {"from": "user"},
                    "mandatory": True,
                    "display": [{"name": "Given name", "locale": "en"}],
                },
                {
                    "path": ["family_name"],
                    "source": {"from": "user"},
                    "mandatory": True,
                    "display": [{"name": "Family name", "locale": "en"}],
                },
                {"path": ["birthdate"], "source": {"from": "user"}},
                {"path": ["address", "locality"], "source": {"from": "user"}},
                {"path": ["issuing_country"], "source": {"from": "constant", "value": "DE"}, "disclosure": "always"},
            ],
        },
        "residence": {
            "format": "dc+sd-jwt",
            "vct": "urn:example:residence:1",
            "scope": "residence",
            "sequence": "login-and-confirm",
            "display": [{"name": "Proof of residence", "locale": "en"}],
            "claims": [{"path": ["address", "locality"], "source": {"from": "user"}}],
        },
        "withdrawn": {
            "format": "dc+sd-jwt",
            "vct": "urn:example:withdrawn:1",
            "scope": "withdrawn",
            "sequence": "login-and-confirm",
            "enabled": False,
            "display": [{"name": "Withdrawn", "locale": "en"}],
            "claims": [{"path": ["family_name"], "source": {"from": "user"}}],
        },
    },
    "sequences": {
        "login-and-confirm": {
            "steps": [{"type": "login", "id": "login"}, {"type": "confirm", "id": "confirm", "show_values": True}]
        }
    },
    "users": [
        {
            "username": USERNAME,
            "password": PASSWORD,
            "claims": {
                "given_name": "Erika",
                "family_name": "Mustermann",
                "birthdate": "1964-08-12",
                "address": {"locality": "Köln"},
            },
        },
        {"username": "max", "password": PASSWORD, "claims": {"given_name": "Max", "family_name": "Power"}},
        {"username": "gone", "password": PASSWORD, "active": False, "claims": {"given_name": "G", "family_name": "G"}},
    ],
}
"""The document of `pid-provider` in the tests."""


def document(changes: dict[str, Any] | None = None, base: dict[str, Any] = PID) -> TenantDocument:
    """Return a document with `changes` merged in, member by member; None removes a member."""
    return msgspec.convert(_merge(base, changes or {}), TenantDocument)


def _merge(base: Any, changes: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    merged = {**base, **{name: _merge(base.get(name), value) for name, value in changes.items()}}
    return {name: value for name, value in merged.items() if value is not None}


OTHER_SLUG = "other-tenant"


def other_tenant() -> TenantDocument:
    """Return a second tenant, alike in everything but its slug and the data of its people."""
    people = [{**user, "claims": {**user["claims"], "given_name": "Somebody Else"}} for user in PID["users"]]
    identity = {"slug": OTHER_SLUG, "display": [{"name": "Other Tenant", "locale": "en"}]}
    return document({"tenant": identity, "users": people})


def _presented(path: list[str]) -> dict[str, Any]:
    source = {"from": "presentation", "step": "present", "credential": "pid"}
    return {"path": path, "source": source, "mandatory": True}


def _constant(path: list[str], value: str) -> dict[str, Any]:
    return {"path": path, "source": {"from": "constant", "value": value}, "disclosure": "always"}


def _pid_query(*names: str) -> dict[str, Any]:
    query = {
        "id": "pid",
        "format": "dc+sd-jwt",
        "meta": {"vct_values": ["urn:eudi:pid:1"]},
        "claims": [{"path": [name]} for name in names],
    }
    return {"dcql_query": {"credentials": [query]}, "trust": {"pid": ["pid-provider"]}}


_PRESENT_AND_CONFIRM = [
    {"type": "presentation", "id": "present", "presentation": "pid"},
    {"type": "confirm", "id": "confirm"},
]
_DIPLOMA_CLAIMS = [
    _presented(["given_name"]),
    _presented(["family_name"]),
    _presented(["birthdate"]),
    _constant(["degree"], "Master of Science"),
]

UNIVERSITY: dict[str, Any] = {
    "schema": "vestibule.tenant/1",
    "tenant": {"slug": "university", "display": [{"name": "University", "locale": "en"}]},
    "clients": PID["clients"],
    "trust": {"pid-provider": {"type": "tenant", "tenant": "pid-provider"}},
    "presentations": {
        "pid": _pid_query("given_name", "family_name", "birthdate"),
        "name": _pid_query("given_name", "family_name"),
    },
    "sequences": {
        "present-and-confirm": {"steps": _PRESENT_AND_CONFIRM, "holder_binding": "same_key"},
        "present-and-confirm-unlinked": {"steps": _PRESENT_AND_CONFIRM, "holder_binding": "unlinked"},
        "present": {
            "steps": [{"type": "presentation", "id": "present", "presentation": "name"}],
            "holder_binding": "same_key",
        },
    },
    "credentials": {
        "diploma": {
            "format": "dc+sd-jwt",
            "vct": "urn:example:diploma:1",
            "scope": "diploma",
            "sequence": "present-and-confirm",
            "display": [{"name": "Diploma", "locale": "en"}],
            "claims": _DIPLOMA_CLAIMS,
        },
        "diploma-unlinked": {
            "format": "dc+sd-jwt",
            "vct": "urn:example:diploma:1",
            "scope": "diploma-unlinked",
            "sequence": "present-and-confirm-unlinked",
            "display": [{"name": "Diploma", "locale": "en"}],
            "claims": _DIPLOMA_CLAIMS,
        },
        "student-card": {
            "format": "dc+sd-jwt",
            "vct": "urn:example:student-card:1",
            "scope": "student-card",
            "sequence": "present",
            "display": [{"name": "Student card", "locale": "en"}],
            "claims": [
                _presented(["given_name"]),
                _presented(["family_name"]),
                _constant(["university"], "University"),
            ],
        },
    },
}
"""The document of `university` in the tests: it takes the PID of `pid-provider`, so that one is applied first."""


def university(changes: dict[str, Any] | None = None) -> TenantDocument:
    """Return the university's document with `changes` merged in, as `document` does."""
    return document(changes, UNIVERSITY)
