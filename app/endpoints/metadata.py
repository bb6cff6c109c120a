"""The two well-known documents at the inserted path, and at the appended path as a fallback (RFC 8414 §3.1)."""

from collections.abc import Iterable
from typing import Any, Final

from litestar import Litestar, get
from litestar.di import NamedDependency

from app.endpoints.wire import HttpRequest, JsonAnswer, public_answer
from app.protocol.metadata import (
    AUTHORIZATION_SERVER,
    CREDENTIAL_ISSUER,
    authorization_server_metadata,
    credential_issuer_metadata,
)
from app.tenancy import Tenancy

_TENANT: Final = "/{tenant:str}"


def _paths(document: str) -> list[str]:
    return [f"/.well-known/{document}{_TENANT}", f"{_TENANT}/.well-known/{document}"]


@get(_paths(AUTHORIZATION_SERVER), opt={"counted_as": "metadata"})
async def authorization_server(request: HttpRequest, tenancy: NamedDependency[Tenancy]) -> JsonAnswer:
    """Return the authorization server metadata (RFC 8414 §3.2)."""
    return public_answer(
        authorization_server_metadata(
            tenancy.document, issuer=tenancy.issuer, endpoints=_wired(request.app, tenancy, AUTHORIZATION_SERVER)
        )
    )


@get(_paths(CREDENTIAL_ISSUER), opt={"counted_as": "metadata"})
async def credential_issuer(request: HttpRequest, tenancy: NamedDependency[Tenancy]) -> JsonAnswer:
    """Return the credential issuer metadata (OpenID4VCI §12.2.2)."""
    return public_answer(
        credential_issuer_metadata(
            tenancy.document, issuer=tenancy.issuer, endpoints=_wired(request.app, tenancy, CREDENTIAL_ISSUER)
        )
    )


def _wired(app: Litestar, tenancy: Tenancy, document: str) -> dict[str, str]:
    return {member: tenancy.url(path) for member, path in app.state.wired_endpoints[document].items()}


def wired_endpoints(app: Litestar) -> dict[str, dict[str, str]]:
    """Return by document: member → path below the issuer, read off the routes, so that nothing unwired is told."""
    found: dict[str, dict[str, str]] = {AUTHORIZATION_SERVER: {}, CREDENTIAL_ISSUER: {}}
    handlers: Iterable[tuple[str, Any]] = (
        (route.path, handler) for route in app.routes for handler in getattr(route, "route_handlers", ())
    )
    for path, handler in handlers:
        if member := handler.opt.get("authorization_server_metadata"):
            found[AUTHORIZATION_SERVER][member] = path.removeprefix(_TENANT)
        if member := handler.opt.get("credential_issuer_metadata"):
            found[CREDENTIAL_ISSUER][member] = path.removeprefix(_TENANT)
    return found
