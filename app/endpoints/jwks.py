"""The published keys (RFC 8414 §2 `jwks_uri`)."""

from litestar import get
from litestar.di import NamedDependency

from app.endpoints.wire import JsonAnswer, public_answer
from app.tenancy import Tenancy


@get("/{tenant:str}/jwks.json", opt={"authorization_server_metadata": "jwks_uri", "counted_as": "metadata"})
async def jwks(tenancy: NamedDependency[Tenancy]) -> JsonAnswer:
    """Return the tenant's public keys (ASM-25, E-20)."""
    return public_answer({"keys": tenancy.keys.public_jwks})
