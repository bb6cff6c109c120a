"""Tenants as documents again: one that can be applied anew, and how another document would change them."""

import difflib
import hashlib
import ssl
from collections.abc import Collection
from typing import Any

import msgspec

from app.document.model import TenantDocument, User
from app.document.presentation import TenantTrust
from app.document.writer import dump
from app.ports import Passwords, Platform
from app.provisioning import tenant_of, unless_deleted
from app.provisioning.trust import resolve_trust
from app.records import TenantHead
from app.storage import PlatformStore


def export(store: PlatformStore, slug: str) -> TenantDocument:
    """Return a tenant's document as it can be applied again. Raises `Refusal` where there is no such tenant.

    It has the people with the hashes of their passwords, and not what was looked up of trusted tenants.
    """
    document = _stored(store, tenant_of(store, slug))
    trust = {
        name: msgspec.structs.replace(entry, resolved=None) if isinstance(entry, TenantTrust) else entry
        for name, entry in document.trust.items()
    }
    return msgspec.structs.replace(document, trust=trust)


async def difference(
    platform: Platform,
    passwords: Passwords,
    document: TenantDocument,
    *,
    public_url: str,
    coming: Collection[str] = (),
) -> list[str]:
    """Return how a document would change its tenant, as the lines of a unified diff; none where it would not.

    Tenants that are `coming` may be trusted although they do not exist yet. Raises `Refusal` as applying would.
    """
    slug = document.tenant.slug

    def look(store: PlatformStore) -> tuple[TenantDocument | None, TenantDocument]:
        head = unless_deleted(store, slug)
        return (
            _stored(store, head) if head is not None else None,
            resolve_trust(store, document, public_url=public_url, coming={slug, *coming}),
        )

    old, new = await platform.transact(look)
    known = {user.username: user for user in old.users} if old is not None else {}
    told = {user.username: await _told(user, known.get(user.username), passwords) for user in new.users}
    before = _readable(old, dict.fromkeys(known, "as it is")) if old is not None else []
    return list(difflib.unified_diff(before, _readable(new, told), f"{slug}: stored", f"{slug}: given", lineterm=""))


def _stored(store: PlatformStore, head: TenantHead) -> TenantDocument:
    repositories = store.tenant(head.tenant_id)
    _, document = repositories.documents.current()
    users = [
        User(
            username=user.username,
            password_hash=user.password_hash,
            active=user.active,
            demo_hint=user.demo_hint,
            claims=user.claims,
        )
        for user in repositories.users.all()
    ]
    return msgspec.structs.replace(document, users=users)


async def _told(user: User, known: User | None, passwords: Passwords) -> str:
    """Return what is told of a password, which is never shown, nor the hint at it."""
    if known is None:
        return "given"
    if user.password_hash is not None:
        same = user.password_hash == known.password_hash
    else:
        same = await passwords.matches(user.password or "", known.password_hash)
    return "as it is" if same and user.demo_hint == known.demo_hint else "another, or another hint at it"


def _readable(document: TenantDocument, told: dict[str, str]) -> list[str]:
    """Return the lines of a document in one order, with fingerprints for looked-up certificates."""
    tree: dict[str, Any] = msgspec.to_builtins(document.without_users(), order="deterministic")
    for entry in tree.get("trust", {}).values():
        if "resolved" in entry:
            pems = entry["resolved"]["anchors"]
            entry["resolved"]["anchors"] = [
                f"SHA-256 {hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()}" for pem in pems
            ]
    users = sorted(document.users, key=lambda user: user.username)
    if users:
        tree["users"] = [
            {
                "username": user.username,
                "password": told[user.username],
                "active": user.active,
                "claims": msgspec.to_builtins(user.claims, order="deterministic"),
            }
            for user in users
        ]
    return dump(tree).splitlines()
