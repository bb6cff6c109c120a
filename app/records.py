"""What is stored, as frozen structs.

Whoever stores a bearer value hands over its SHA-256 digest; sealing happens below the repositories (`app.storage`).
Times are whole seconds since 1970 by the injected clock.
"""

from typing import Any, Literal

from msgspec import Struct

from app.interaction.evidence import Evidence, Trusted
from app.interaction.machine import Status
from app.interaction.plan import ClaimValue, HolderBinding, Plan

SpentKind = Literal["dpop_jti", "c_nonce", "issuer_state"]
KeyPurpose = Literal["access_token", "credential", "development_ca"]


class PresentationData(Struct, frozen=True):
    """What the presentation a session waits for must answer."""

    nonce: str


class Session(Struct, frozen=True, kw_only=True):
    """An interactive authorization session; a pushed authorization request is one of dialect `web`."""

    session_id: str
    dialect: str
    client_id: str
    redirect_uri: str | None
    scope: str | None
    """The scope as requested."""
    state: str | None
    issuer_state_digest: bytes | None = None
    code_challenge: str | None
    code_challenge_method: str | None
    authorization_details: list[dict[str, Any]] | None
    interaction_types_supported: list[str] = []
    dpop_jkt: str | None
    instance_jkt: str | None = None
    status: Status
    auth_session_digest: bytes | None = None
    request_uri_digest: bytes | None
    request_uri_expires_at: int | None
    presentation_data: PresentationData | None = None
    """Set while the session waits for a presentation or judges one."""
    plan: Plan
    step_index: int = 0
    completed_steps: Evidence = Evidence()
    attempts: int = 0
    """Follow-ups that could not be read."""
    created_at: int
    expires_at: int


class BrowserFlow(Struct, frozen=True, kw_only=True):
    """One browser on its way through a session's web steps; several may race, the first to finish wins."""

    flow_id: str
    session_id: str
    cookie_digest: bytes
    step_index: int = 0
    user_id: str | None = None
    results: dict[str, Any] = {}
    created_at: int
    expires_at: int


class RepeatableAnswer(Struct, frozen=True, kw_only=True):
    """The answer to the follow-up that was accepted last, for a wallet that did not receive it."""

    handle_digest: bytes
    """Of the `auth_session` the follow-up presented; it is superseded by now."""
    session_id: str
    body_digest: bytes
    sealed: bytes
    """By a key derived from the presented `auth_session`, which is not kept: see `app.interaction.repetition`."""
    expires_at: int


class GrantedCredential(Struct, frozen=True, kw_only=True):
    """One credential a grant allows, with the values it will carry."""

    configuration_id: str
    credential_identifier: str | None
    """Set iff the wallet asked by `authorization_details`; then the only name the credential can be asked by."""
    claims: list[ClaimValue]
    holder_binding: HolderBinding | None = None
    """None where nothing was presented."""


class Authorization(Struct, frozen=True, kw_only=True):
    """What a session authorized: sealed in the code, then in the grant."""

    scope: str | None
    """The granted scope values, those of unknown names left out."""
    authorization_details: list[dict[str, Any]] | None
    """As they will be returned by the token endpoint, `credential_identifiers` included."""
    credentials: list[GrantedCredential]
    trusted: list[Trusted] = []
    """On whose word it rests, where something was presented."""


class AuthorizationCode(Struct, frozen=True, kw_only=True):
    """An authorization code: known by its digest, spent once, kept as long as the grant it turned into."""

    code_digest: bytes
    code_id: str
    """Names the code in traces."""
    session_id: str
    client_id: str
    redirect_uri: str | None
    delivered: Literal["redirect", "json"]
    scope: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    dpop_jkt: str | None
    user_id: str | None
    authorization: Authorization | None
    """None once the code has become a grant."""
    issued_at: int
    expires_at: int
    used_at: int | None = None
    grant_id: str | None = None
    diagnostics: dict[str, Any] = {}


class Grant(Struct, frozen=True, kw_only=True):
    """What a code turned into: claims, binding, revocation, quota. Tokens point to it."""

    grant_id: str
    client_id: str
    user_id: str | None
    dpop_jkt: str | None
    authorization: Authorization | None
    """None once the grant can issue no more: revoked, or its last credential taken."""
    credentials_issued: int = 0
    credentials_allowed: int
    created_at: int
    expires_at: int
    revoked_at: int | None = None


class AccessToken(Struct, frozen=True, kw_only=True):
    """An access token as far as revocation needs it; the token itself is a signed JWT that is not kept."""

    token_id: str
    grant_id: str
    issued_at: int
    expires_at: int


class Issuance(Struct, frozen=True, kw_only=True):
    """One credential was issued: to which grant and holder key, never with what content."""

    issuance_id: str
    grant_id: str
    configuration_id: str
    holder_jkt: str
    issued_at: int


class StoredUser(Struct, frozen=True, kw_only=True):
    """A person of the tenant; all but the identifier and `active` is sealed."""

    user_id: str
    username: str
    password_hash: str
    demo_hint: str | None
    claims: dict[str, Any]
    active: bool


class SigningKey(Struct, frozen=True, kw_only=True):
    """A private key of the tenant with what is public about it."""

    key_id: str
    purpose: KeyPurpose
    algorithm: str
    public_jwk: dict[str, Any]
    private_key: bytes
    """PKCS #8 DER; sealed at rest."""
    certificate_chain: list[bytes]
    """DER, leaf first, without the trust anchor; empty for keys that need none."""
    origin: Literal["generated", "development", "imported"]
    created_at: int
    retired_at: int | None = None


class DataKeyHead(Struct, frozen=True, kw_only=True):
    """What can be told about a tenant's data key."""

    number: int
    master_key_id: str
    """The master key that wraps it."""
    created_at: int


class SealedValue(Struct, frozen=True, kw_only=True):
    """A sealed value as it was found, with where it lies."""

    place: tuple[str, str, str]
    """Table, column, and what else binds it to its row."""
    key: str | bytes | int
    """The row's primary key within the tenant."""
    sealed: bytes


class Resealed(Struct, frozen=True, kw_only=True):
    """What became of a batch of sealed values; those somebody changed meanwhile count as neither."""

    done: int
    broken: int
    """Did not open and were left as they are."""


class AuditEvent(Struct, frozen=True, kw_only=True):
    """A fact worth keeping, written in the transaction it describes. Holds no personal data and no secret."""

    event_id: str
    occurred_at: int
    kind: str
    subject: str
    """The session, issuance, key or revision it is about."""
    detail: dict[str, str | int | None] = {}


class TenantHead(Struct, frozen=True, kw_only=True):
    """A tenant as the platform knows it."""

    tenant_id: str
    slug: str
    origin: str | None
    status: Literal["active", "suspended", "deleted"]
    revision: int
    keys_version: int
    created_at: int
