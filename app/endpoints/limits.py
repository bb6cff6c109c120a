"""Which requests are counted for whom: first the address, then client or session, at last the tenant.

The narrower limit comes first, so that what it refuses does not use up the wider one: neither an address nor a client
can spend what its tenant's other wallets have. Every handler says what it is counted as (`opt["counted_as"]`).
"""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final, cast

from app.endpoints.wire import HttpRequest
from app.endpoints.wired import wired
from app.ports import RequestKind
from app.tenancy import Tenancy

_HAS_CLIENT: Final[frozenset[RequestKind]] = frozenset({"starts", "follow_ups", "tokens", "credentials"})
"""Their tenant is counted once their client or session was."""


async def count_address(request: HttpRequest, *, kind: RequestKind | None = None) -> None:
    """Count by the sender's address, over all tenants: before anything is looked up (O-16, O-17)."""
    client = request.scope["client"]
    await wired(request).rate_limits.count(
        kind or _counted_as(request), "address", address_block(client[0] if client else "")
    )


async def count_tenant(request: HttpRequest, tenancy: Tenancy) -> None:
    """Count by tenant what no client or session is known of."""
    if (kind := _counted_as(request)) not in _HAS_CLIENT:
        await wired(request).rate_limits.count(kind, "tenant", tenancy.tenant_id)


async def count_client(
    request: HttpRequest, tenancy: Tenancy, client_id: str, *, kind: RequestKind | None = None
) -> None:
    """Count by client, then by tenant (B-20)."""
    kind = kind or _counted_as(request)
    await wired(request).rate_limits.count(kind, "client", tenancy.tenant_id, client_id)
    await wired(request).rate_limits.count(kind, "tenant", tenancy.tenant_id)


async def count_session(request: HttpRequest, tenancy: Tenancy, auth_session: str) -> None:
    """Count by the session that a follow-up names, whether it exists or not (IA-48); then by tenant."""
    await wired(request).rate_limits.count("follow_ups", "session", tenancy.tenant_id, auth_session)
    await wired(request).rate_limits.count("follow_ups", "tenant", tenancy.tenant_id)


@lru_cache(maxsize=4096)
def address_block(host: str) -> str:
    """Return what counts as one sender: an IPv4 address, or the /64 of IPv6 that one connection usually has."""
    try:
        address = ip_address(host)
    except ValueError:
        # A local socket, or what a proxy made up.
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))


def _counted_as(request: HttpRequest) -> RequestKind:
    return cast("RequestKind", request.route_handler.opt["counted_as"])
