"""The token endpoint (RFC 6749 §3.2; RFC 9449 §5; OpenID4VCI §6)."""

from typing import Any

from litestar import post
from litestar.di import NamedDependency
from msgspec import Struct

from app.endpoints.deps import Form
from app.endpoints.errors import nonce_header
from app.endpoints.wire import FORM_LIMIT, JsonAnswer, json_answer
from app.interaction.completion import authorization_by_identifiers
from app.interaction.presented import is_still_trusted
from app.interaction.single_use import spend_proof
from app.protocol import jose
from app.protocol.authorization_details import read_authorization_details
from app.protocol.client_auth import AuthenticatedClient
from app.protocol.credential import allowed_credentials
from app.protocol.digest import digest
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.protocol.request import check_redirect_uri, check_resource, enabled_configuration
from app.protocol.token import (
    ACCESS_TOKEN_TYPE,
    access_token_claims,
    check_grant_type,
    check_sender_constraint,
    code_refused,
    judge_code,
    sent_code,
    token_type,
)
from app.records import AccessToken, Authorization, AuthorizationCode, Grant
from app.storage import TenantStore
from app.tenancy import Tenancy


class Exchanged(Struct, frozen=True):
    """A code became a grant with its first access token."""

    grant: Grant
    authorization: Authorization
    token: AccessToken


class Overtaken(Exception):
    """Somebody else exchanged the code between its look-up and its claim."""


@post(
    "/{tenant:str}/token",
    status_code=200,
    opt={"authorization_server_metadata": "token_endpoint", "counted_as": "tokens"},
    request_max_body_size=FORM_LIMIT,
)
async def token(
    tenancy: NamedDependency[Tenancy],
    form: NamedDependency[Form],
    client: NamedDependency[AuthenticatedClient],
    proof: NamedDependency[DpopProof | None],
) -> JsonAnswer:
    """Exchange an authorization code for an access token bound to the proof's key."""
    check_grant_type(form)
    check_resource(form, issuer=tenancy.issuer)
    code_digest = digest(sent_code(form))
    check_sender_constraint(proof, dpop=tenancy.document.dpop)
    now = tenancy.clock.now()

    def exchange(store: TenantStore) -> Exchanged | None:
        """Judge, claim and record; None where a spent code came back and its grant was revoked."""
        code = store.codes.by_digest(code_digest)
        judge_code(code, form, client=client, proof=proof, now=now)
        assert code is not None  # noqa: S101  judge_code refuses an unknown code
        # A replayed proof is never taken for a replayed code: the jti goes first.
        spend_proof(store, proof)
        if code.used_at is None:
            authorization = _narrow(tenancy, code, form)
            _check_still_allowed(tenancy, store, client, code, authorization)
            grant, access_token = _make_grant(tenancy, code, authorization, proof, now)
            store.codes.spend(code, grant_id=grant.grant_id, now=now, otherwise=Overtaken())
            store.grants.create(grant)
            store.grants.create_access_token(access_token)
            store.audit.append(tenancy.event("code_redeemed", code.session_id, code=code.code_id))
            return Exchanged(grant, authorization, access_token)
        if code.grant_id is not None and store.grants.revoke(code.grant_id, now=now):
            store.audit.append(tenancy.event("code_reused", code.session_id, code=code.code_id))
        return None

    try:
        exchanged = await tenancy.write(exchange)
    except Overtaken:
        # The code is used now: what came of it is revoked like after any second use.
        exchanged = await tenancy.write(exchange)
    if exchanged is None:
        raise code_refused("code used before")
    return json_answer(await _answer(tenancy, exchanged), headers=nonce_header(tenancy, "dpop_as"))


def _narrow(tenancy: Tenancy, code: AuthorizationCode, form: Form) -> Authorization:
    """Return what a token request leaves of a code's authorization (OpenID4VCI §6.1.1, RFC 9396 §6, TAD-04)."""
    authorization = code.authorization
    if authorization is None:
        # Of an unused code it is erased at its expiry, which came between the judgement's `now` and the look-up.
        raise code_refused("code expired")
    details = read_authorization_details(
        form.get("authorization_details"),
        configuration_ids=[credential.configuration_id for credential in authorization.credentials],
        issuer=tenancy.issuer,
    )
    if details is None:
        return authorization
    named = {entry["credential_configuration_id"] for entry in details}
    scopes = {tenancy.document.credentials[name].scope for name in named & tenancy.document.credentials.keys()}
    return authorization_by_identifiers(
        tenancy,
        # RFC 6749 §5.1: the scope granted is that of the credentials that are left.
        " ".join(value for value in (authorization.scope or "").split() if value in scopes) or None,
        [credential for credential in authorization.credentials if credential.configuration_id in named],
        trusted=authorization.trusted,
    )


def _check_still_allowed(
    tenancy: Tenancy,
    store: TenantStore,
    client: AuthenticatedClient,
    code: AuthorizationCode,
    authorization: Authorization,
) -> None:
    """Judge by the current revision what was true when the code was minted (C-29)."""
    if code.redirect_uri is not None:
        try:
            check_redirect_uri(code.redirect_uri, client, document=tenancy.document)
        except Refusal as refusal:
            raise code_refused(refusal.reason) from None
    user = store.users.by_id(code.user_id) if code.user_id is not None else None
    if code.user_id is not None and (user is None or not user.active):
        raise code_refused("user inactive")
    if any(enabled_configuration(tenancy.document, c.configuration_id) is None for c in authorization.credentials):
        raise code_refused("configuration disabled")
    if not is_still_trusted(tenancy.document, authorization.trusted):
        raise code_refused("trust changed")


def _make_grant(
    tenancy: Tenancy, code: AuthorizationCode, authorization: Authorization, proof: DpopProof | None, now: int
) -> tuple[Grant, AccessToken]:
    expires_at = now + tenancy.document.lifetimes.access_token
    grant = Grant(
        grant_id=tenancy.entropy.identifier(),
        client_id=code.client_id,
        user_id=code.user_id,
        dpop_jkt=proof.jkt if proof is not None else None,
        authorization=authorization,
        credentials_allowed=allowed_credentials(
            tenancy.document, [credential.configuration_id for credential in authorization.credentials]
        ),
        created_at=now,
        expires_at=expires_at,
    )
    return grant, AccessToken(
        token_id=tenancy.entropy.identifier(), grant_id=grant.grant_id, issued_at=now, expires_at=expires_at
    )


async def _answer(tenancy: Tenancy, exchanged: Exchanged) -> dict[str, Any]:
    """Return the token answer (RFC 6749 §5.1; OpenID4VCI §6.2)."""
    grant, issued = exchanged.grant, exchanged.token
    signer = tenancy.keys.access_tokens
    signing_input = jose.signing_input(
        {"alg": signer.algorithm, "typ": ACCESS_TOKEN_TYPE, "kid": signer.key_id},
        access_token_claims(
            issuer=tenancy.issuer,
            subject=grant.grant_id,
            client_id=grant.client_id,
            token_id=issued.token_id,
            scope=exchanged.authorization.scope,
            jkt=grant.dpop_jkt,
            issued_at=issued.issued_at,
            expires_at=issued.expires_at,
        ),
    )
    answer: dict[str, Any] = {
        "access_token": jose.compact(signing_input, await signer.sign(signing_input)),
        "token_type": token_type(grant.dpop_jkt),
        "expires_in": issued.expires_at - issued.issued_at,
    }
    if exchanged.authorization.scope is not None:
        answer["scope"] = exchanged.authorization.scope
    if exchanged.authorization.authorization_details is not None:
        answer["authorization_details"] = exchanged.authorization.authorization_details
    return answer
