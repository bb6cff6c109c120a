"""The published keys (RFC 8414 §2 `jwks_uri`)."""

import msgspec
from litestar import MediaType, Response, get
from litestar.di import NamedDependency

from app.tenancy import Tenancy


@get("/{tenant:str}/jwks.json", opt={"authorization_server_metadata": "jwks_uri"})
async def jwks(tenancy: NamedDependency[Tenancy]) -> Response[bytes]:
    """Return the tenant's public keys (ASM-25, E-20)."""
    return Response(
        msgspec.json.encode({"keys": tenancy.keys.public_jwks}),
        media_type=MediaType.JSON,
        headers={"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"},
    )
