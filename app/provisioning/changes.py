"""How a tenant document differs from what is stored, in words."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from app.document.model import TenantDocument
from app.records import StoredUser

_TOLD_IN_DETAIL: Final = {"trust", "presentations", "sequences", "credentials", "clients", "users"}


def describe_changes(old: TenantDocument | None, old_users: Collection[StoredUser], new: TenantDocument) -> list[str]:
    """Return how a document differs from what is there; empty where only passwords or order differ."""
    changes = [
        f"change {name}"
        for name, part in msgspec.structs.asdict(new).items()
        if old is not None and name not in _TOLD_IN_DETAIL and part != getattr(old, name)
    ]
    changes += _differences("trust", old.trust if old else {}, new.trust)
    changes += _differences("presentation", old.presentations if old else {}, new.presentations)
    changes += _differences("sequence", old.sequences if old else {}, new.sequences)
    changes += _differences("credential", old.credentials if old else {}, new.credentials)
    old_clients = {client.client_id: client for client in old.clients.registered} if old else {}
    changes += _differences("client", old_clients, {client.client_id: client for client in new.clients.registered})
    if old is not None and _client_policy(old) != _client_policy(new):
        changes.append("change which unregistered clients and redirect schemes are accepted")
    changes += _differences(
        "user",
        {user.username: (user.claims, user.demo_hint, user.active) for user in old_users},
        {user.username: (user.claims, user.demo_hint, user.active) for user in new.users},
    )
    return changes


def _client_policy(document: TenantDocument) -> tuple[Any, ...]:
    return document.clients.unknown_public, document.clients.allow_private_use_schemes


def _differences(kind: str, old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    return [
        *(f"remove {kind} {name}" for name in old if name not in new),
        *(f"add {kind} {name}" for name in new if name not in old),
        *(f"change {kind} {name}" for name in new if name in old and old[name] != new[name]),
    ]
