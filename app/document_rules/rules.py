"""What makes sense in a tenant document, beyond its structure. Every rule yields all it finds."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from app.document.model import LoginStep, TenantDocument, User
from app.document.problem import Finding, Path
from app.document_rules.credential_rules import credentials, displays, no_reserved_members
from app.document_rules.names import repeated, same_name
from app.document_rules.presentation_rules import presentations
from app.document_rules.sequence_rules import sequences
from app.document_rules.source_rules import sources
from app.document_rules.trust_rules import trust
from app.protocol.redirect_uri import DNS_NAME, check_registered

# fmt: off
RESERVED_SLUGS: Final = frozenset({
    "admin", "api", "assets", "console", "docs", "favicon", "healthz", "livez", "metrics", "openapi", "platform",
    "readyz", "robots", "schema", "static", "well-known",
    # Endpoints of tenants that have an origin of their own.
    "authorize", "challenge", "credential", "deferred", "interactive", "introspect", "jwks", "nonce", "notification",
    "offer", "par", "presentation", "revoke", "status", "token",
})
# fmt: on
"""First path segments that are, or may become, the platform's own."""

_ORIGIN: Final = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{DNS_NAME}|127\.0\.0\.1|\[::1\])(?::(?P<port>[1-9][0-9]{{0,4}}))?"
)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_ARGON2ID: Final = re.compile(
    r"\$argon2id\$v=19\$m=(?P<memory>[0-9]{1,7}),t=(?P<time>[0-9]{1,2}),p=(?P<lanes>[0-9]{1,2})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
)
_MAX_HASH_MEMORY: Final = 262_144


class Surroundings(Struct, frozen=True):
    """What of the service's settings the rules depend on."""

    public_url: str
    demo: bool


def check(document: TenantDocument, surroundings: Surroundings) -> list[Finding]:
    """Return everything that is wrong or odd."""
    return [
        *_identity(document, surroundings),
        *sequences(document),
        *credentials(document),
        *sources(document),
        *presentations(document),
        *trust(document),
        *_clients(document),
        *_users(document, surroundings),
    ]


def _identity(document: TenantDocument, surroundings: Surroundings) -> Iterator[Finding]:
    if document.tenant.slug in RESERVED_SLUGS:
        yield Finding(("tenant", "slug"), "This name is reserved.", "Choose another; it stands in the issuer's URL.")
    yield from displays(document.tenant.display, ("tenant", "display"))
    origin = document.issuer.origin
    if origin is None:
        return
    if not _can_be_origin(origin, surroundings):
        yield Finding(
            ("issuer", "origin"),
            "This is no origin a tenant can have.",
            "Write https://HOST or https://HOST:PORT in lower case, without path and default port.",
        )
    elif origin == surroundings.public_url:
        yield Finding(
            ("issuer", "origin"),
            "This is the service's own public URL.",
            "Leave it out to be reached under the public URL, or give a host of the tenant's own.",
        )


def _can_be_origin(origin: str, surroundings: Surroundings) -> bool:
    """Issuer identifiers are compared as strings, so one spelling only; http only where the service is on loopback."""
    parts = _ORIGIN.fullmatch(origin)
    if parts is None:
        return False
    scheme, host, port = parts["scheme"], parts["host"], int(parts["port"] or 1)
    if port > 65535 or port == {"https": 443, "http": 80}[scheme]:
        return False
    return scheme == "https" or (host in _LOOPBACK and surroundings.public_url.startswith("http:"))


def _clients(document: TenantDocument) -> Iterator[Finding]:
    clients = document.clients
    if not clients.registered and clients.unknown_public is None:
        yield Finding(
            ("clients",),
            "No wallet can use this tenant.",
            "List wallets under `registered`, or accept others with `unknown_public`.",
            "warning",
        )
    for index in repeated([client.client_id for client in clients.registered]):
        yield Finding(
            ("clients", "registered", index, "client_id"), "Another client has this id.", "Give each its own."
        )
    lists: list[tuple[Path, Sequence[str]]] = [
        (("clients", "registered", index, "redirect_uris"), client.redirect_uris)
        for index, client in enumerate(clients.registered)
    ]
    if clients.unknown_public is not None:
        lists.append((("clients", "unknown_public", "redirect_uris"), clients.unknown_public.redirect_uris))
    for path, uris in lists:
        for index, uri in enumerate(uris):
            if wrong := check_registered(uri, allow_private_use=clients.allow_private_use_schemes):
                yield Finding((*path, index), wrong, "Give the URI exactly as the wallet sends it.")


def _users(document: TenantDocument, surroundings: Surroundings) -> Iterator[Finding]:
    steps = [step for sequence in document.sequences.values() for step in sequence.steps]
    if document.users and not any(isinstance(step, LoginStep) for step in steps):
        yield Finding(
            ("users",),
            "Nobody can sign in: no sequence has a `login` step.",
            "Remove the users, or add one.",
            "warning",
        )
    for index in repeated([same_name(user.username) for user in document.users]):
        yield Finding(
            ("users", index, "username"),
            "Another user has this name.",
            "Give each a name that differs in more than upper and lower case.",
        )
    for index, user in enumerate(document.users):
        yield from _user(user, surroundings, ("users", index))


def _user(user: User, surroundings: Surroundings, path: Path) -> Iterator[Finding]:
    if (user.password is None) == (user.password_hash is None):
        yield Finding(path, "A user has either a password or a password hash.", "Give exactly one of the two.")
    if user.password_hash is not None and not _is_usable_hash(user.password_hash):
        yield Finding(
            (*path, "password_hash"),
            "This hash cannot be used.",
            f"Give $argon2id$v=19$m=…,t=…,p=…$salt$hash with at most {_MAX_HASH_MEMORY} KiB, 10 passes, 8 lanes.",
        )
    if user.demo_hint is not None and not surroundings.demo:
        yield Finding(
            (*path, "demo_hint"),
            "Hints are shown in demo mode only, and this service is not in it.",
            "Remove the hint, or set `demo = true` in the service's settings (VESTIBULE_DEMO=true).",
        )
    yield from no_reserved_members(user.claims, (*path, "claims"))


def _is_usable_hash(encoded: str) -> bool:
    """A hash decides what comparing with it costs, so its parameters are bounded (M-24)."""
    parts = _ARGON2ID.fullmatch(encoded)
    return (
        parts is not None
        and 8 * int(parts["lanes"]) <= int(parts["memory"]) <= _MAX_HASH_MEMORY
        and 1 <= int(parts["time"]) <= 10
        and 1 <= int(parts["lanes"]) <= 8
    )
