"""Client authentication (RFC 6749 §2.3): which client sends this request. So far by the method `none`."""

import re
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import asdict

from app.document.model import Clients
from app.protocol.refusal import Refusal

AUTH_METHODS: Final = ("none",)
"""What `token_endpoint_auth_methods_supported` says."""

_CLIENT_ID: Final = re.compile(r"[\x21-\x7E]{1,255}")
_ASSERTION_FIELDS: Final = frozenset({"client_assertion", "client_assertion_type"})


class KnownClient(Struct, frozen=True, kw_only=True):
    """A client as the tenant's current revision knows it, whoever speaks of it; only `recognize` makes one."""

    client_id: str
    name: str | None
    """None for a wallet nobody registered."""
    redirect_uris: list[str]


class AuthenticatedClient(KnownClient, frozen=True, kw_only=True):
    """A known client that sent this request; only `authenticate` makes one."""

    method: Literal["none"] = "none"


def sent_client_id(form: Mapping[str, str]) -> str:
    """Return the `client_id` a form names. Raises `Refusal("invalid_request")` where it names none."""
    # RFC 9126 §2.1 (PAR-04), RFC 6749 §4.1.3: required from a client that does not authenticate otherwise.
    if client_id := form.get("client_id"):
        return client_id
    raise Refusal("invalid_request", "client_id is missing.")


def names_client(form: Mapping[str, str], *, authorization_header: bool) -> bool:
    """Whether a request says whose it is, by name or by any way of authentication."""
    return authorization_header or bool({"client_id", "client_secret", *_ASSERTION_FIELDS} & form.keys())


def authenticate(form: Mapping[str, str], *, authorization_header: bool, clients: Clients) -> AuthenticatedClient:
    """Authenticate the client of a form request by the method `none`.

    Raises `Refusal("invalid_client")`, uniformly for unknown, inactive and wrongly authenticated clients, or
    `invalid_request` for several authentications at once.
    """
    used = [authorization_header, "client_secret" in form, bool(_ASSERTION_FIELDS & form.keys())]
    # RFC 6749 §5.2 (TOK-04, C-21)
    if sum(used) > 1:
        raise Refusal("invalid_request", "More than one way of client authentication.")
    # RFC 6749 §3.2.1 (TOK-04): credentials are judged whenever they are included; none is accepted yet.
    if any(used):
        raise Refusal("invalid_client", "Client authentication failed.", reason="unsupported client authentication")
    known = recognize(sent_client_id(form), clients)
    return AuthenticatedClient(**asdict(known))


def recognize(client_id: str, clients: Clients) -> KnownClient:
    """Return the client of this id, which is no proof that it sent anything. Raises `Refusal("invalid_client")`."""
    registered = clients.by_id.get(client_id)
    if registered is not None and registered.active:
        return KnownClient(client_id=client_id, name=registered.name, redirect_uris=registered.redirect_uris)
    # As long as a registered one may be: the access token must be ours to read (RFC 6749 §A.1).
    if registered is None and clients.unknown_public is not None and _CLIENT_ID.fullmatch(client_id):
        return KnownClient(client_id=client_id, name=None, redirect_uris=clients.unknown_public.redirect_uris)
    raise Refusal("invalid_client", "Client authentication failed.", reason="client unknown or inactive")
