"""What handlers may demand, as a chain: tenancy → form → client → proof, or tenancy → access token → proof → body.

Each names the previous, because independent dependencies run concurrently in no stated order. A handler's signature
therefore says which proofs it demands; `tests/architecture/matrix.txt` lists them all.
"""

from collections.abc import Mapping
from typing import Any, Final

from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from app.endpoints.boundary import OWN_ORIGIN
from app.endpoints.limits import count_address, count_client, count_session, count_tenant
from app.endpoints.wire import HttpRequest, body_of, header, read_form, read_json_object
from app.endpoints.wired import wired
from app.ports import RequestRecord
from app.protocol.client_auth import AuthenticatedClient, authenticate, names_client, sent_client_id
from app.protocol.dpop import DpopProof, judge_dpop_proof
from app.protocol.nonce import NonceFamily
from app.protocol.refusal import Refusal
from app.protocol.resource import check_key, check_scheme, read_authorization
from app.protocol.token import VerifiedAccessToken, verify_access_token
from app.tenancy import Tenancy

Form = dict[str, str]


async def provide_tenancy(request: HttpRequest, tenant: FromPath[str]) -> Tenancy:
    """Open the tenant addressed by path or by origin. Raises one `Refusal("not_found")` for all others (M-22)."""
    await count_address(request)
    # C-29: first the body, which may take its time; then the tenant, as it is now.
    if request.method == "POST":
        await body_of(request)
    origin: str | None = request.scope["state"].get("origin")
    if tenant != OWN_ORIGIN:
        found = await wired(request).tenancies.by_slug(tenant)
    else:
        found = None if origin is None else await wired(request).tenancies.by_origin(origin)
    if found is None:
        raise Refusal("not_found")
    state = request.scope["state"]
    state["tenancy"] = found
    record: RequestRecord = state["record"]
    record.tenant, record.endpoint = found.slug, request.scope["path_template"]
    await count_tenant(request, found)
    return found


async def provide_form(request: HttpRequest, tenancy: NamedDependency[Tenancy]) -> Form:
    """Read the form of a request to a tenant that exists."""
    return await read_form(request)


async def provide_client(
    request: HttpRequest, tenancy: NamedDependency[Tenancy], form: NamedDependency[Form]
) -> AuthenticatedClient:
    """Authenticate the client by the tenant's current revision. Raises `Refusal("invalid_client")`."""
    client = _authenticated_client(request, tenancy, form)
    await count_client(request, tenancy, client.client_id)
    return client


def _authenticated_client(request: HttpRequest, tenancy: Tenancy, form: Form) -> AuthenticatedClient:
    request.scope["state"]["record"].client = sent_client_id(form)
    return authenticate(
        form, authorization_header=header(request, b"authorization") is not None, clients=tenancy.document.clients
    )


async def provide_interactive_client(
    request: HttpRequest, tenancy: NamedDependency[Tenancy], form: NamedDependency[Form]
) -> AuthenticatedClient | None:
    """Authenticate the client of an interactive request; None for a follow-up that leaves it to its session.

    OpenID4VCI 1.1 §6.1.2 (IA-05, IA-14, IA-15): a client that names or authenticates itself is judged like any other.
    """
    if "auth_session" not in form:
        await count_address(request, kind="starts")
        client = _authenticated_client(request, tenancy, form)
        await count_client(request, tenancy, client.client_id, kind="starts")
        return client
    await count_session(request, tenancy, form["auth_session"])
    if not names_client(form, authorization_header=header(request, b"authorization") is not None):
        return None
    return _authenticated_client(request, tenancy, form)


async def provide_proof(
    request: HttpRequest, tenancy: NamedDependency[Tenancy], client: NamedDependency[AuthenticatedClient | None]
) -> DpopProof | None:
    """Verify the DPoP proof of a request to the authorization server; None where none was sent."""
    # RFC 9449 §4 (DP-35): a proof is no authentication; the client was authenticated before.
    return _judge_proof(request, tenancy, family="dpop_as", access_token=None)


class PresentedToken(VerifiedAccessToken, frozen=True, kw_only=True):
    """A verified access token together with its text, which the DPoP proof must name (`ath`)."""

    text: str


async def provide_access_token(request: HttpRequest, tenancy: NamedDependency[Tenancy]) -> PresentedToken:
    """Verify the access token of a request to the credential issuer (CR-02). Raises `Refusal`."""
    scheme, text = read_authorization(header(request, b"authorization"))
    verified = verify_access_token(
        text, issuer=tenancy.issuer, keys=tenancy.keys.access_token_keys, now=tenancy.clock.now()
    )
    request.scope["state"]["record"].client = verified.client_id
    await count_client(request, tenancy, verified.client_id)
    check_scheme(scheme, verified, dpop=tenancy.document.dpop)
    return PresentedToken(token_id=verified.token_id, client_id=verified.client_id, jkt=verified.jkt, text=text)


async def provide_token_proof(
    request: HttpRequest, tenancy: NamedDependency[Tenancy], access_token: NamedDependency[PresentedToken]
) -> DpopProof | None:
    """Verify the proof that goes with a DPoP-bound access token (RFC 9449 §7.1); None for a bearer token."""
    if access_token.jkt is None:
        return None
    proof = _judge_proof(request, tenancy, family="dpop_resource", access_token=access_token.text)
    check_key(access_token, proof)
    return proof


async def provide_json_object(
    request: HttpRequest, tenancy: NamedDependency[Tenancy], proof: NamedDependency[DpopProof | None]
) -> dict[str, Any]:
    """Read the JSON object of a request whose token and proof hold."""
    return await read_json_object(request)


def _judge_proof(
    request: HttpRequest, tenancy: Tenancy, *, family: NonceFamily, access_token: str | None
) -> DpopProof | None:
    token = header(request, b"dpop")
    if token is None:
        return None
    document = tenancy.document

    def live(value: str) -> bool:
        return tenancy.is_live_nonce(family, value, lifetime=document.lifetimes.dpop_nonce)

    return judge_dpop_proof(
        token,
        expected_method=request.method,
        # RFC 9449 §4.3 item 9 (DP-11, D-02): the configured URL, never one made from the request's headers.
        expected_url=tenancy.url("/" + request.scope["path"].split("/", 2)[2]),
        expected_access_token=access_token,
        live_nonce=None if document.dpop.nonce == "off" else live,
        now=tenancy.clock.now(),
    )


DEPENDENCIES: Final[Mapping[str, Provide]] = {
    "tenancy": Provide(provide_tenancy),
    "form": Provide(provide_form),
    "client": Provide(provide_client),
    "proof": Provide(provide_proof),
}
"""Of the endpoints of the authorization server."""

RESOURCE_DEPENDENCIES: Final[Mapping[str, Provide]] = {
    "tenancy": Provide(provide_tenancy),
    "access_token": Provide(provide_access_token),
    "proof": Provide(provide_token_proof),
    "json_object": Provide(provide_json_object),
}
"""Of the endpoints of the credential issuer."""
