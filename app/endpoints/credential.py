"""The credential endpoint (OpenID4VCI §8)."""

from typing import Any

from litestar import post
from litestar.di import NamedDependency
from msgspec import Struct

from app.document.model import HolderBindingMode
from app.endpoints.deps import PresentedToken
from app.endpoints.errors import nonce_header
from app.endpoints.wire import CREDENTIAL_REQUEST_LIMIT, JsonAnswer, json_answer
from app.formats import sd_jwt_vc
from app.interaction.holder import check_holder_key
from app.interaction.presented import is_still_trusted
from app.interaction.single_use import spend_proof
from app.protocol.claims import CLOCK_SKEW
from app.protocol.client_auth import recognize
from app.protocol.credential import (
    PROOF_ALGORITHMS,
    CredentialRequest,
    choose_credential,
    read_credential_request,
    sole_jwt_proof,
)
from app.protocol.dpop import DpopProof
from app.protocol.key_proof import KeyProof, judge_key_proof
from app.protocol.refusal import Refusal
from app.protocol.request import enabled_configuration
from app.protocol.token import VerifiedAccessToken
from app.records import Grant, GrantedCredential, Issuance
from app.storage import TenantStore
from app.tenancy import Tenancy


class Claimed(Struct, frozen=True):
    """What was claimed for one credential: from here on it counts as issued."""

    credential: GrantedCredential
    key: KeyProof


@post(
    "/{tenant:str}/credential",
    status_code=200,
    opt={"credential_issuer_metadata": "credential_endpoint", "counted_as": "credentials"},
    request_max_body_size=CREDENTIAL_REQUEST_LIMIT,
)
async def credential(
    tenancy: NamedDependency[Tenancy],
    access_token: NamedDependency[PresentedToken],
    proof: NamedDependency[DpopProof | None],
    json_object: NamedDependency[dict[str, Any]],
) -> JsonAnswer:
    """Issue one credential bound to the key of one proof."""
    request = read_credential_request(json_object)
    claimed = await tenancy.write(lambda store: _claim(tenancy, store, access_token, proof, request))
    issued = await _issue(tenancy, claimed)
    return json_answer({"credentials": [{"credential": issued}]}, headers=nonce_header(tenancy, "dpop_resource"))


def _claim(
    tenancy: Tenancy,
    store: TenantStore,
    access_token: VerifiedAccessToken,
    proof: DpopProof | None,
    request: CredentialRequest,
) -> Claimed:
    """Judge, then spend nonce, proof and quota and note the issuance; a refusal has changed nothing."""
    now, lifetimes = tenancy.clock.now(), tenancy.document.lifetimes
    grant = _live_grant(tenancy, store, access_token)
    if grant.authorization is None:
        raise _issues_no_more(grant)
    enabled = [name for name in tenancy.document.credentials if enabled_configuration(tenancy.document, name)]
    credential = choose_credential(request, grant.authorization.credentials, known=enabled)
    if credential.configuration_id not in enabled:
        raise Refusal("credential_request_denied", "This credential is no longer issued.")
    if not is_still_trusted(tenancy.document, grant.authorization.trusted):
        raise Refusal("credential_request_denied", "What was presented is no longer accepted.", reason="trust changed")
    key = judge_key_proof(
        sole_jwt_proof(request.proofs),
        expected_audience=tenancy.issuer,
        expected_client_id=grant.client_id,
        live_nonce=lambda value: tenancy.is_live_nonce("c_nonce", value, lifetime=lifetimes.c_nonce),
        algorithms=PROOF_ALGORITHMS,
        now=now,
    )
    # A-01..A-06: the key must be one the document links to what was presented; a refusal has spent nothing.
    check_holder_key(
        credential.holder_binding, key.jkt, current_mode=_binding_mode(tenancy, credential.configuration_id)
    )
    spend_proof(store, proof)
    # OpenID4VCI §13.8 (L-01): a c_nonce works for one issuing request.
    spent = Refusal("invalid_nonce", "The key proof needs a current nonce.", reason="c_nonce spent")
    store.spent.spend("c_nonce", key.nonce, expires_at=now + lifetimes.c_nonce + CLOCK_SKEW, otherwise=spent)
    store.grants.take_credential(
        grant,
        now=now,
        # Since the grant was read above, it was revoked (L-15), its last credential taken, or its time has come.
        otherwise=lambda: _issues_no_more(_live_grant(tenancy, store, access_token)),
    )
    configuration_id = credential.configuration_id
    quota = tenancy.document.credentials[configuration_id].credentials_per_grant
    # L-10: counted behind the grant's lock, so that of two requests at once the second sees the first. A grant that
    # allows no more than that of all was judged by the lock itself.
    if grant.credentials_allowed > quota and store.grants.issued(grant.grant_id, configuration_id) >= quota:
        raise Refusal("credential_request_denied", "This grant issues no more of these credentials.", reason="quota")
    issuance_id = tenancy.entropy.identifier()
    store.grants.record_issuance(
        Issuance(
            issuance_id=issuance_id,
            grant_id=grant.grant_id,
            configuration_id=configuration_id,
            holder_jkt=key.jkt,
            issued_at=now,
        )
    )
    store.audit.append(
        tenancy.event("credential_issued", issuance_id, grant=grant.grant_id, configuration=configuration_id)
    )
    return Claimed(credential, key)


def _binding_mode(tenancy: Tenancy, configuration_id: str) -> HolderBindingMode | None:
    """Return what the current revision demands."""
    document = tenancy.document
    return document.sequences[document.credentials[configuration_id].sequence].holder_binding


def _issues_no_more(grant: Grant) -> Refusal:
    """Return why a live token's grant has no claims (any more): erased with its last credential, or at its expiry."""
    if grant.credentials_issued < grant.credentials_allowed:
        return Refusal("invalid_token", "The access token is not valid here.", reason="grant expired")
    # L-10
    return Refusal("credential_request_denied", "This grant issues no more credentials.", reason="quota")


def _live_grant(tenancy: Tenancy, store: TenantStore, access_token: VerifiedAccessToken) -> Grant:
    """Return the token's grant if it stands by the current revision (C-29, L-11, L-15)."""
    grant = store.grants.by_access_token(access_token.token_id)
    if grant is None or grant.revoked_at is not None:
        raise Refusal("invalid_token", "The access token is not valid here.", reason="grant revoked or gone")
    user = store.users.by_id(grant.user_id) if grant.user_id is not None else None
    if grant.user_id is not None and (user is None or not user.active):
        raise Refusal("invalid_token", "The access token is not valid here.", reason="user inactive")
    try:
        recognize(grant.client_id, tenancy.document.clients)
    except Refusal as refusal:
        raise Refusal("invalid_token", "The access token is not valid here.", reason=refusal.reason) from None
    return grant


async def _issue(tenancy: Tenancy, claimed: Claimed) -> str:
    """Make and sign the credential; its times are rounded down to the day, so that they link nothing (CR-14)."""
    configuration = tenancy.document.credentials[claimed.credential.configuration_id]
    signer = tenancy.keys.credentials
    issued_at, expires_at = sd_jwt_vc.validity_period(now=tenancy.clock.now(), validity=configuration.validity)
    unsigned = sd_jwt_vc.build(
        claims=claimed.credential.claims,
        vct=configuration.vct,
        issuer=tenancy.issuer,
        issued_at=issued_at,
        expires_at=expires_at,
        holder_jwk=claimed.key.jwk,
        algorithm=signer.algorithm,
        certificate_chain=signer.certificate_chain,
        salt=tenancy.entropy.token,
    )
    return unsigned.complete(await signer.sign(unsigned.signing_input))
