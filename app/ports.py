"""What the service needs from outside, as protocols. Adapters implement them; only `app.main` names an adapter."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from msgspec import Struct

from app.records import AuditEvent, SigningKey, SpentKind
from app.storage import PlatformStore, TenantStore

T = TypeVar("T")


class Clock(Protocol):
    """The time."""

    def now(self) -> int:
        """Return whole seconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, for measuring durations."""
        ...


class Entropy(Protocol):
    """Randomness."""

    def octets(self, count: int) -> bytes:
        """Return random octets."""
        ...

    def token(self) -> str:
        """Return a bearer value: 256 bits, base64url, 43 characters."""
        ...

    def identifier(self) -> str:
        """Return an identifier for a row: 128 bits, hexadecimal."""
        ...


class Signer(Protocol):
    """A private key that signs; it may live elsewhere."""

    @property
    def key_id(self) -> str:
        """The `kid`."""
        ...

    @property
    def algorithm(self) -> str:
        """The JWS `alg`."""
        ...

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the JWS signature (for ES256: raw r‖s)."""
        ...


class CertifiedSigner(Signer, Protocol):
    """A signer whose key is certified."""

    @property
    def certificate_chain(self) -> list[bytes]:
        """DER, leaf first, without the trust anchor."""
        ...


class KeyRing(Protocol):
    """The keys of one tenant."""

    @property
    def access_tokens(self) -> Signer:
        """Signs access tokens."""
        ...

    @property
    def credentials(self) -> CertifiedSigner:
        """Signs credentials."""
        ...

    @property
    def public_jwks(self) -> list[dict[str, Any]]:
        """The published keys (RFC 8414 `jwks_uri`), each with `kid`, `alg`, `use`; public members only."""
        ...

    @property
    def access_token_keys(self) -> Mapping[str, EllipticCurvePublicKey]:
        """The keys that access tokens are verified with, by `kid`."""
        ...

    @property
    def nonce_key(self) -> bytes:
        """The tenant's key for sealed nonces (`app.protocol.nonce`)."""
        ...


class KeyMaker(Protocol):
    """Makes and reads private keys."""

    def access_token_key(self, *, now: int) -> SigningKey:
        """Make an ES256 key for access tokens."""
        ...

    def development_credential_keys(self, *, common_name: str, issuer: str, now: int) -> tuple[SigningKey, SigningKey]:
        """Make a development CA and a credential key certified by it, both clearly marked; (ca, credential)."""
        ...

    def import_credential_key(self, *, private_key_pem: bytes, chain_pem: bytes, now: int) -> SigningKey:
        """Read a PEM key and chain. Raises `Refusal` with what is wrong with them."""
        ...


class Passwords(Protocol):
    """People's passwords (Argon2id), off the event loop and limited in number."""

    async def hash(self, password: str) -> str:
        """Return the encoded hash."""
        ...

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Compare; with `encoded` None the same work is done and the answer is False."""
        ...


class RequestRecord(Struct, kw_only=True):
    """What is told about one request; whoever learns a part of it writes it down (`scope["state"]["record"]`)."""

    request_id: str
    tenant: str | None = None
    """The tenant's slug."""
    endpoint: str | None = None
    """The template of the endpoint's path, not the path: that may hold a bearer value."""
    client: str | None = None
    """The `client_id`, as the wallet gave it."""
    outcome: str | None = None
    """The error code of a refusal."""
    reason: str | None = None
    """The private reason of a refusal."""


class Log(Protocol):
    """The log: an event and named values, none of them a secret or personal."""

    def info(self, event: str, **values: Any) -> None:
        """Say what happened."""
        ...

    def warning(self, event: str, **values: Any) -> None:
        """Say what went wrong."""
        ...


class Metrics(Protocol):
    """Counts of what the service does, for whoever runs it; none of them is about a person."""

    def request(self, record: RequestRecord, *, outcome: str, seconds: float) -> None:
        """Count a request and what came of it: `ok`, `error`, or the code of its refusal."""
        ...

    def event(self, event: AuditEvent) -> None:
        """Count an event that was committed."""
        ...

    def replay(self, kind: SpentKind) -> None:
        """Count a value that works once and was used again."""
        ...

    def job(self, name: str, count: int | None) -> None:
        """Count a run of a job and what it did; None where it failed."""
        ...


class NoMetrics:
    """`Metrics` that are off."""

    def request(self, record: RequestRecord, *, outcome: str, seconds: float) -> None:
        """Count nothing."""

    def event(self, event: AuditEvent) -> None:
        """Count nothing."""

    def replay(self, kind: SpentKind) -> None:
        """Count nothing."""

    def job(self, name: str, count: int | None) -> None:
        """Count nothing."""


RequestKind = Literal["starts", "follow_ups", "tokens", "credentials", "nonces", "pages", "metadata"]
"""What requests are counted as, by what they ask for."""

CountedBy = Literal["address", "client", "session", "tenant"]
"""Whose requests are counted together."""


class TooManyRequests(Exception):
    """A request over the limit: it was not counted, and nothing was done for it."""

    def __init__(self, kind: RequestKind, by: CountedBy, *, seconds: int) -> None:
        super().__init__(f"{kind} per {by}")
        self.seconds = seconds
        """After which one more would be served."""


class RateLimits(Protocol):
    """Counts requests over the last minute."""

    async def count(self, kind: RequestKind, by: CountedBy, *names: str) -> None:
        """Count a request of whom `names` name together. Raises `TooManyRequests`."""
        ...


class DatabaseUnavailable(Exception):
    """The database is away, full, or busy for too long; the transaction has changed nothing and may be tried again."""


class Database(Protocol):
    """Runs one transaction as one function, whole: nothing is awaited inside. Returning commits, raising rolls back.

    Raises `DatabaseUnavailable`.
    """

    async def read(self, tenant_id: str, work: Callable[[TenantStore], T]) -> T:
        """Run `work` in a transaction that writes nothing."""
        ...

    async def write(self, tenant_id: str, work: Callable[[TenantStore], T]) -> T:
        """Run `work` in a write transaction and commit."""
        ...


class Platform(Protocol):
    """The database across tenants; given to commands, jobs and the readiness check only."""

    async def transact(self, work: Callable[[PlatformStore], T]) -> T:
        """Run `work` in a write transaction and commit."""
        ...

    async def is_reachable(self) -> bool:
        """Whether the database answers."""
        ...
