"""The repositories that keep what is stored, as protocols.

A repository belongs to one open transaction and one tenant, both taken when it is made; its methods are synchronous
because a transaction is one function run whole (`app.ports.Database`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from app.document.model import TenantDocument
from app.protocol.refusal import Refusal
from app.records import (
    AccessToken,
    AuditEvent,
    AuthorizationCode,
    BrowserFlow,
    DataKeyHead,
    Grant,
    Issuance,
    RepeatableAnswer,
    Resealed,
    SealedValue,
    Session,
    SigningKey,
    SpentKind,
    StoredUser,
    TenantHead,
)


class Sessions(Protocol):
    """Interactive authorization sessions."""

    def create(self, session: Session) -> None:
        """Store a new session."""
        ...

    def by_request_uri(self, digest: bytes) -> Session | None:
        """Return the session a request URI belongs to, whatever its status."""
        ...

    def by_id(self, session_id: str) -> Session | None:
        """Return a session, whatever its status."""
        ...

    def by_auth_session(self, digest: bytes) -> Session | None:
        """Return the session whose current `auth_session` this is, whatever its status."""
        ...

    def advance(self, judged: Session, moved: Session, *, now: int, otherwise: Refusal) -> None:
        """Move a session on: from how it was judged to how it becomes.

        Writes `status`, `auth_session_digest`, `request_uri_digest`, `request_uri_expires_at`, `presentation_data`,
        `step_index`, `completed_steps`; guarded by the judged `status`, `step_index` and `auth_session_digest` and by
        expiry. Raises `otherwise`, here or later in the transaction, where somebody else moved it or it expired.
        """
        ...

    def count_attempt(self, judged: Session) -> int | None:
        """Count a follow-up that could not be read; return how many there were, None where the session moved on."""
        ...


class RepeatableAnswers(Protocol):
    """Answers kept for wallets that did not receive them."""

    def keep(self, answer: RepeatableAnswer) -> None:
        """Keep an answer, and forget the session's earlier one: a follow-up after it shows that it was received."""
        ...

    def find(self, handle_digest: bytes) -> RepeatableAnswer | None:
        """Return the answer to a follow-up by the handle it presented, expired ones included."""
        ...

    def take(self, answer: RepeatableAnswer) -> bool:
        """Use an answer up; False where it is gone already."""
        ...


class BrowserFlows(Protocol):
    """Browsers on their way through web steps."""

    def create(self, flow: BrowserFlow) -> None:
        """Store a new flow."""
        ...

    def by_cookie(self, digest: bytes) -> BrowserFlow | None:
        """Return the flow of a cookie."""
        ...

    def advance(self, flow: BrowserFlow, *, step_index: int, user_id: str | None, results: Mapping[str, Any]) -> bool:
        """Record a finished page, guarded by the step index it was judged with."""
        ...

    def end_all(self, session_id: str) -> None:
        """Forget every flow of a session, results included."""
        ...


class AuthorizationCodes(Protocol):
    """Authorization codes."""

    def create(self, code: AuthorizationCode) -> None:
        """Store a new code."""
        ...

    def by_digest(self, digest: bytes) -> AuthorizationCode | None:
        """Return a code, used and expired ones included."""
        ...

    def spend(self, code: AuthorizationCode, *, grant_id: str, now: int, otherwise: Exception) -> None:
        """Use a code up: guarded by unused, unexpired, client, and DPoP key; erases its authorization.

        Raises `otherwise`, here or later in the transaction, where that does not hold any more.
        """
        ...


class Grants(Protocol):
    """Grants and what hangs on them."""

    def create(self, grant: Grant) -> None:
        """Store a new grant."""
        ...

    def by_id(self, grant_id: str) -> Grant | None:
        """Return a grant, revoked ones included."""
        ...

    def by_access_token(self, token_id: str) -> Grant | None:
        """Return the grant of an access token, revoked ones included."""
        ...

    def revoke(self, grant_id: str, *, now: int) -> bool:
        """Revoke a grant and erase its claims; False where it was revoked before."""
        ...

    def take_credential(self, grant: Grant, *, now: int, otherwise: Callable[[], Refusal]) -> None:
        """Count one credential, guarded by quota, expiry and revocation; with the last one the claims are erased.

        Raises what `otherwise` returns, here or later in the transaction, where the grant issues no more.
        """
        ...

    def record_issuance(self, issuance: Issuance) -> None:
        """Note that a credential was issued."""
        ...

    def issued(self, grant_id: str, configuration_id: str) -> int:
        """Return how many credentials of a configuration a grant has issued."""
        ...

    def create_access_token(self, token: AccessToken) -> None:
        """Note that an access token was issued."""
        ...


class SpentValues(Protocol):
    """Values that work once: `jti`s, `c_nonce`s, issuer states."""

    def spend(self, kind: SpentKind, value: str, *, expires_at: int, otherwise: Refusal) -> None:
        """Spend a value by a unique insert of its digest.

        Raises `otherwise`, here or later in the transaction, where it was spent before.
        """
        ...


class Users(Protocol):
    """People who can sign in."""

    def by_username(self, username: str) -> StoredUser | None:
        """Return a person by user name, found through a keyed index."""
        ...

    def by_id(self, user_id: str) -> StoredUser | None:
        """Return a person."""
        ...

    def all(self) -> list[StoredUser]:
        """Return every person, by user name; for provisioning."""
        ...

    def demo_hints(self) -> list[str]:
        """Return the hints of active users that carry one."""
        ...

    def replace_all(self, users: list[StoredUser]) -> None:
        """Make these the tenant's people: known user names keep their `user_id`, absent ones are deleted."""
        ...

    def count_login_attempt(self, username: str, *, now: int, limit: int, window: int) -> bool:
        """Spend one of `limit` tries per `window` seconds for a name, existing or not; False where none is left."""
        ...

    def clear_login_attempts(self, username: str) -> None:
        """Forget the tries after a successful sign-in."""
        ...


class SigningKeys(Protocol):
    """The tenant's private keys."""

    def all(self) -> list[SigningKey]:
        """Return every key, retired ones included, oldest first."""
        ...

    def add(self, key: SigningKey) -> None:
        """Store a key; every process sees it with its next request."""
        ...

    def retire(self, key_id: str, *, now: int) -> bool:
        """Retire a key; False where it was retired before."""
        ...


class Documents(Protocol):
    """The revisions of the tenant document."""

    def current(self) -> tuple[int, TenantDocument]:
        """Return the active revision's number and document (without users)."""
        ...

    def add(self, document: TenantDocument, *, now: int, fingerprint: bytes) -> int:
        """Store a revision, make it active, return its number. `fingerprint` tells equal sources (users included)."""
        ...

    def fingerprint(self, source: bytes) -> bytes:
        """Return the keyed fingerprint of a document's canonical source."""
        ...

    def current_fingerprint(self) -> bytes | None:
        """Return the active revision's fingerprint."""
        ...


class SealedValues(Protocol):
    """Everything of the tenant that is sealed, whatever it holds; for moving it under the newest data key."""

    def under_older_keys(self, *, after: SealedValue | None = None, limit: int) -> list[SealedValue]:
        """Return up to `limit` values that an older data key sealed, in a fixed order, those behind `after`."""
        ...

    def reseal(self, values: Sequence[SealedValue]) -> Resealed:
        """Seal values under the newest data key, each guarded by its still being as it was found."""
        ...


class AuditTrail(Protocol):
    """What happened."""

    def append(self, event: AuditEvent) -> None:
        """Write an event."""
        ...


class TenantStore(Protocol):
    """Every repository of one tenant within one transaction."""

    @property
    def sessions(self) -> Sessions:
        """Interactive authorization sessions."""
        ...

    @property
    def browser_flows(self) -> BrowserFlows:
        """Browsers in web steps."""
        ...

    @property
    def repeatable_answers(self) -> RepeatableAnswers:
        """Answers kept for wallets that did not receive them."""
        ...

    @property
    def codes(self) -> AuthorizationCodes:
        """Authorization codes."""
        ...

    @property
    def grants(self) -> Grants:
        """Grants, access tokens, issuances."""
        ...

    @property
    def spent(self) -> SpentValues:
        """Spent values."""
        ...

    @property
    def users(self) -> Users:
        """People."""
        ...

    @property
    def signing_keys(self) -> SigningKeys:
        """Private keys."""
        ...

    @property
    def documents(self) -> Documents:
        """Document revisions."""
        ...

    @property
    def sealed_values(self) -> SealedValues:
        """Everything that is sealed."""
        ...

    @property
    def audit(self) -> AuditTrail:
        """The audit trail."""
        ...


class PlatformStore(Protocol):
    """Work across tenants within one transaction; for commands and jobs only."""

    def tenants(self) -> list[TenantHead]:
        """Return every tenant that is not deleted, by slug."""
        ...

    def by_slug(self, slug: str) -> TenantHead | None:
        """Return a tenant, deleted ones included: a slug is never given out twice."""
        ...

    def create(self, *, slug: str, origin: str | None, now: int) -> TenantHead:
        """Make a tenant with its first data key."""
        ...

    def set_origin(self, tenant_id: str, origin: str | None) -> None:
        """Give a tenant an origin of its own, or take it back. Raises `Refusal` where another tenant has it."""
        ...

    def delete(self, tenant_id: str, *, now: int) -> None:
        """Destroy a tenant's data keys and rows; its slug stays taken."""
        ...

    def add_data_key(self, tenant_id: str, *, now: int) -> int:
        """Give a tenant its next data key and return its number; what is sealed from now on is sealed under it.

        Raises `Refusal` where the tenant is gone.
        """
        ...

    def rewrap_data_keys(self, *, limit: int) -> int:
        """Wrap by the first master key up to `limit` data keys that another wraps; return how many. Needed until none
        is left, before an old master key is taken off the list.
        """
        ...

    def data_keys(self, tenant_id: str) -> list[DataKeyHead]:
        """Return a tenant's data keys, oldest first; the last one seals."""
        ...

    def master_keys(self) -> list[str]:
        """Return the identifiers of the master keys that were given; the first wraps."""
        ...

    def tenant(self, tenant_id: str) -> TenantStore:
        """Return the repositories of one tenant in this transaction."""
        ...

    def end_timed_out_sessions(self, *, now: int, limit: int) -> int:
        """Record up to `limit` unfinished sessions past their expiry as `expired`, with an audit event each; return how
        many. Nothing that was shown in them is kept.
        """
        ...

    def erase_expired(self, *, now: int, limit: int) -> int:
        """Erase the claims of codes and grants past their expiry, what browsers found out, and answers kept; return
        how many rows, up to `limit` per table.
        """
        ...

    def delete_expired(self, *, now: int, limit: int) -> int:
        """Delete up to `limit` rows per table that nothing can use any more; return how many."""
        ...
