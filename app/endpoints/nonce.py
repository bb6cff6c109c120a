"""The nonce endpoint (OpenID4VCI §7): a `c_nonce` for key proofs, without any state kept."""

from litestar import post
from litestar.di import NamedDependency

from app.endpoints.errors import nonce_header
from app.endpoints.wire import FORM_LIMIT, JsonAnswer, json_answer
from app.tenancy import Tenancy


@post(
    "/{tenant:str}/nonce",
    status_code=200,
    opt={"credential_issuer_metadata": "nonce_endpoint", "counted_as": "nonces"},
    request_max_body_size=FORM_LIMIT,
)
async def c_nonce(tenancy: NamedDependency[Tenancy]) -> JsonAnswer:
    """Return a fresh `c_nonce` to anybody (NON-02), with a DPoP nonce for the credential endpoint (NON-05)."""
    return json_answer({"c_nonce": tenancy.fresh_nonce("c_nonce")}, headers=nonce_header(tenancy, "dpop_resource"))
