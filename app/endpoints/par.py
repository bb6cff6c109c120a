"""Pushed authorization requests (RFC 9126; OpenID4VCI §5.1.4): begins a session of dialect `web`."""

from litestar import post
from litestar.di import NamedDependency

from app.endpoints.deps import Form
from app.endpoints.errors import nonce_header
from app.endpoints.wire import FORM_LIMIT, JsonAnswer, json_answer
from app.interaction.dialects import web
from app.interaction.start import push
from app.protocol.client_auth import AuthenticatedClient
from app.protocol.dpop import DpopProof
from app.protocol.request import read_authorization_request
from app.tenancy import Tenancy


@post(
    "/{tenant:str}/par",
    opt={"authorization_server_metadata": "pushed_authorization_request_endpoint", "counted_as": "starts"},
    request_max_body_size=FORM_LIMIT,
)
async def pushed_authorization_request(
    tenancy: NamedDependency[Tenancy],
    form: NamedDependency[Form],
    client: NamedDependency[AuthenticatedClient],
    proof: NamedDependency[DpopProof | None],
) -> JsonAnswer:
    """Take a push: 201 with a `request_uri` (RFC 9126 §2.2, PAR-05)."""
    request = read_authorization_request(
        form, client=client, proof=proof, document=tenancy.document, issuer=tenancy.issuer
    )
    pushed = await push(tenancy, client, request, proof)
    return json_answer(
        web.pushed(pushed.handle, expires_in=pushed.expires_in),
        status_code=201,
        headers={"Cache-Control": "no-cache, no-store", **nonce_header(tenancy, "dpop_as")},
    )
