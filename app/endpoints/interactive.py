"""The Interactive Authorization Endpoint (OpenID4VCI 1.1 §6): begins interactive sessions and takes follow-ups."""

from litestar import post
from litestar.di import NamedDependency, Provide

from app.endpoints.deps import Form, provide_interactive_client
from app.endpoints.errors import nonce_header
from app.endpoints.wire import INTERACTIVE_REQUEST_LIMIT, HttpRequest, JsonAnswer, body_of, json_answer
from app.endpoints.wired import wired
from app.interaction.dialects import iae
from app.interaction.start import begin_interactive
from app.protocol.client_auth import AuthenticatedClient
from app.protocol.dpop import DpopProof
from app.protocol.request import read_authorization_request
from app.tenancy import Tenancy


@post(
    "/{tenant:str}/interactive",
    status_code=200,
    opt={"authorization_server_metadata": "interactive_authorization_endpoint", "counted_as": "follow_ups"},
    dependencies={"client": Provide(provide_interactive_client)},
    request_max_body_size=INTERACTIVE_REQUEST_LIMIT,
)
async def interactive_authorization(
    request: HttpRequest,
    tenancy: NamedDependency[Tenancy],
    form: NamedDependency[Form],
    client: NamedDependency[AuthenticatedClient | None],
    proof: NamedDependency[DpopProof | None],
) -> JsonAnswer:
    """Answer what is needed next, or the code (OpenID4VCI 1.1 §6.2): 200 either way."""
    if client is None or "auth_session" in form:
        answer = await wired(request).follow_ups.answer(
            tenancy, form, body=await body_of(request), client=client, proof=proof
        )
    else:
        answer = await _begin(tenancy, form, client, proof)
    return json_answer(answer, headers=nonce_header(tenancy, "dpop_as"))


async def _begin(
    tenancy: Tenancy, form: Form, client: AuthenticatedClient, proof: DpopProof | None
) -> dict[str, object]:
    """Take an initial request (OpenID4VCI 1.1 §6.1.1): one without `auth_session`."""
    authorization_request = read_authorization_request(
        form, client=client, proof=proof, document=tenancy.document, issuer=tenancy.issuer
    )
    types = iae.read_interaction_types(form.get("interaction_types_supported"))
    needed = await begin_interactive(tenancy, client, authorization_request, proof, types)
    return iae.encode(needed, types)
