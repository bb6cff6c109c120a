"""The tables. `migrations/` makes them; a test holds the two equal.

Every primary key begins with `tenant_id` and every foreign key carries it, so no row can point into another tenant.
Times are whole seconds since 1970 by the service's clock; `updated_at` alone is the database's own, kept by triggers
(in the migrations) and used for diagnosis only. What `app.adapters.vault` sealed lies in the columns of `SEALED`.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

from app.adapters.db.checks import DATABASE_NOW, base64url_43, one_of, pkce_pair, scope_tokens, sha256_digest
from app.interaction.machine import Status

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _tenant() -> Column[str]:
    return Column("tenant_id", String(32), nullable=False)


def _text(name: str, length: int | None = None, *, nullable: bool = False) -> Column[str]:
    """Make a text column; what comes from a wallet has no length here: its limits are the endpoints'."""
    return Column(name, String(length), nullable=nullable)


def _digest(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary(32), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _sealed(name: str, row_id: str, *versions: str, nullable: bool = False) -> Column[bytes]:
    """Make a column of sealed values, each bound to its row by the column `row_id`.

    `versions` name further columns it is bound to: whoever changes one seals the value anew, and an older value put
    back does not open.
    """
    return Column(name, LargeBinary, nullable=nullable, info={"row_id": (row_id, *versions)})


def _json(name: str) -> Column[Any]:
    return Column(name, JSON, nullable=False)


def _updated_at() -> Column[int]:
    return Column("updated_at", BigInteger, nullable=False, server_default=DATABASE_NOW)


def _of_tenant() -> ForeignKeyConstraint:
    # Only what is written rarely points at the tenant's row: on PostgreSQL every insert with this key locks it.
    return ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"])


def _of_grant(**how: Any) -> ForeignKeyConstraint:
    columns = ["tenant_id", "grant_id"]
    return ForeignKeyConstraint(columns, [f"grants.{column}" for column in columns], ondelete="CASCADE", **how)


tenants: Final = Table(
    "tenants",
    metadata,
    _tenant(),
    _text("slug", 63),
    _text("origin", 260, nullable=True),
    _text("status", 16),
    Column("revision", Integer, nullable=False),
    Column("keys_version", Integer, nullable=False),
    _time("created_at"),
    _time("deleted_at", nullable=True),
    PrimaryKeyConstraint("tenant_id"),
    UniqueConstraint("slug"),
    UniqueConstraint("origin"),
    one_of("status", ["active", "suspended", "deleted"]),
)

data_keys: Final = Table(
    "data_keys",
    metadata,
    _tenant(),
    Column("key_number", Integer, nullable=False),
    _text("master_key_id", 8),
    Column("wrapped", LargeBinary, nullable=False),
    _time("created_at"),
    PrimaryKeyConstraint("tenant_id", "key_number"),
    _of_tenant(),
)

document_revisions: Final = Table(
    "document_revisions",
    metadata,
    _tenant(),
    Column("revision", Integer, nullable=False),
    _digest("fingerprint"),
    _sealed("document", "revision"),
    _time("created_at"),
    PrimaryKeyConstraint("tenant_id", "revision"),
    _of_tenant(),
)

signing_keys: Final = Table(
    "signing_keys",
    metadata,
    _tenant(),
    _text("key_id", 64),
    _text("purpose", 32),
    _text("algorithm", 16),
    _json("public_jwk"),
    _sealed("private_key", "key_id"),
    _json("certificate_chain"),
    _text("origin", 16),
    _time("created_at"),
    _time("retired_at", nullable=True),
    PrimaryKeyConstraint("tenant_id", "key_id"),
    _of_tenant(),
    one_of("purpose", ["access_token", "credential", "development_ca"]),
    one_of("origin", ["generated", "development", "imported"]),
)

clients: Final = Table(
    "clients",
    metadata,
    _tenant(),
    _text("client_id", 255),
    _json("registration"),
    PrimaryKeyConstraint("tenant_id", "client_id"),
    _of_tenant(),
)

users: Final = Table(
    "users",
    metadata,
    _tenant(),
    _text("user_id", 32),
    _digest("username_index"),
    Column("active", Boolean, nullable=False),
    Column("has_demo_hint", Boolean, nullable=False),
    _sealed("person", "user_id"),
    PrimaryKeyConstraint("tenant_id", "user_id"),
    UniqueConstraint("tenant_id", "username_index"),
    _of_tenant(),
    Index(None, "tenant_id", "has_demo_hint"),
)

login_attempts: Final = Table(
    "login_attempts",
    metadata,
    _tenant(),
    _digest("username_index"),
    Column("attempts", Integer, nullable=False),
    _time("expires_at"),
    PrimaryKeyConstraint("tenant_id", "username_index"),
    Index(None, "expires_at"),
)

sessions: Final = Table(
    "sessions",
    metadata,
    _tenant(),
    _text("session_id", 32),
    _text("dialect", 16),
    _text("client_id"),
    _text("redirect_uri", nullable=True),
    _text("scope", nullable=True),
    _sealed("state", "session_id", nullable=True),
    _digest("issuer_state_digest", nullable=True),
    _text("code_challenge", 43, nullable=True),
    _text("code_challenge_method", 8, nullable=True),
    _sealed("authorization_details", "session_id", nullable=True),
    _json("interaction_types_supported"),
    _text("dpop_jkt", 43, nullable=True),
    _text("instance_jkt", 43, nullable=True),
    _text("status", 32),
    _digest("auth_session_digest", nullable=True),
    _digest("request_uri_digest", nullable=True),
    _time("request_uri_expires_at", nullable=True),
    _sealed("presentation_data", "session_id", nullable=True),
    _sealed("plan", "session_id"),
    Column("step_index", Integer, nullable=False),
    # M-13: what an earlier step left behind does not open at a later one, though it is of the same row.
    _sealed("completed_steps", "session_id", "step_index"),
    _time("created_at"),
    _time("expires_at"),
    _updated_at(),
    PrimaryKeyConstraint("tenant_id", "session_id"),
    UniqueConstraint("tenant_id", "request_uri_digest"),
    UniqueConstraint("tenant_id", "auth_session_digest"),
    Index(None, "expires_at"),
    CheckConstraint("expires_at > created_at", name="lifetime"),
    CheckConstraint("(request_uri_digest IS NULL) = (request_uri_expires_at IS NULL)", name="request_uri_pair"),
    one_of("status", [status.value for status in Status]),
    *pkce_pair(),
    *base64url_43("dpop_jkt"),
    *base64url_43("instance_jkt"),
)

browser_flows: Final = Table(
    "browser_flows",
    metadata,
    _tenant(),
    _text("flow_id", 32),
    _text("session_id", 32),
    _digest("cookie_digest"),
    Column("step_index", Integer, nullable=False),
    _text("user_id", 32, nullable=True),
    _sealed("results", "flow_id", "step_index"),  # M-13, as above
    _time("created_at"),
    _time("expires_at"),
    PrimaryKeyConstraint("tenant_id", "flow_id"),
    UniqueConstraint("tenant_id", "cookie_digest"),
    ForeignKeyConstraint(
        ["tenant_id", "session_id"], ["sessions.tenant_id", "sessions.session_id"], ondelete="CASCADE"
    ),
    Index(None, "tenant_id", "session_id"),
    Index(None, "expires_at"),
)

grants: Final = Table(
    "grants",
    metadata,
    _tenant(),
    _text("grant_id", 32),
    _text("client_id"),
    _text("user_id", 32, nullable=True),
    _text("dpop_jkt", 43, nullable=True),
    _sealed("authorization", "grant_id", nullable=True),
    Column("credentials_issued", Integer, nullable=False),
    Column("credentials_allowed", Integer, nullable=False),
    _time("created_at"),
    _time("expires_at"),
    _time("revoked_at", nullable=True),
    PrimaryKeyConstraint("tenant_id", "grant_id"),
    Index(None, "expires_at"),
    CheckConstraint("credentials_issued BETWEEN 0 AND credentials_allowed", name="quota"),
    *base64url_43("dpop_jkt"),
)

# A code outlives its session, whose row goes at its expiry: what the code needs, it holds. It goes with its grant.
authorization_codes: Final = Table(
    "authorization_codes",
    metadata,
    _tenant(),
    _digest("code_digest"),
    _text("code_id", 32),
    _text("session_id", 32),
    _text("client_id"),
    _text("redirect_uri", nullable=True),
    _text("delivered", 16),
    _text("scope", nullable=True),
    _text("code_challenge", 43, nullable=True),
    _text("code_challenge_method", 8, nullable=True),
    _text("dpop_jkt", 43, nullable=True),
    _text("user_id", 32, nullable=True),
    _sealed("authorization", "code_id", nullable=True),
    _time("issued_at"),
    _time("expires_at"),
    _time("used_at", nullable=True),
    _text("grant_id", 32, nullable=True),
    _json("diagnostics"),
    _updated_at(),
    PrimaryKeyConstraint("tenant_id", "code_digest"),
    UniqueConstraint("tenant_id", "code_id"),
    # Deferred: the code is claimed before the grant is written, in one transaction.
    _of_grant(deferrable=True, initially="DEFERRED"),
    Index(None, "tenant_id", "grant_id"),
    Index(None, "expires_at"),
    CheckConstraint("expires_at > issued_at AND expires_at - issued_at <= 600", name="lifetime"),
    CheckConstraint("(used_at IS NULL) = (grant_id IS NULL)", name="use_pair"),
    CheckConstraint('used_at IS NULL OR "authorization" IS NULL', name="erased_when_used"),
    one_of("delivered", ["redirect", "json"]),
    sha256_digest("code_digest"),
    *pkce_pair(),
    *base64url_43("dpop_jkt"),
    *scope_tokens("scope"),
)

access_tokens: Final = Table(
    "access_tokens",
    metadata,
    _tenant(),
    _text("token_id", 64),
    _text("grant_id", 32),
    _time("issued_at"),
    _time("expires_at"),
    PrimaryKeyConstraint("tenant_id", "token_id"),
    _of_grant(),
    Index(None, "tenant_id", "grant_id"),
    Index(None, "expires_at"),
)

issuances: Final = Table(
    "issuances",
    metadata,
    _tenant(),
    _text("issuance_id", 32),
    _text("grant_id", 32),
    _text("configuration_id", 64),
    _text("holder_jkt", 43),
    _time("issued_at"),
    PrimaryKeyConstraint("tenant_id", "issuance_id"),
    _of_grant(),
    Index(None, "tenant_id", "grant_id"),
    *base64url_43("holder_jkt"),
)

spent_values: Final = Table(
    "spent_values",
    metadata,
    _tenant(),
    _text("kind", 16),
    _digest("digest"),
    _time("expires_at"),
    PrimaryKeyConstraint("tenant_id", "kind", "digest"),
    Index(None, "expires_at"),
)

audit_events: Final = Table(
    "audit_events",
    metadata,
    _tenant(),
    _text("event_id", 32),
    _time("occurred_at"),
    _text("kind", 64),
    _text("subject", 255),
    _json("detail"),
    PrimaryKeyConstraint("tenant_id", "event_id"),
    Index(None, "tenant_id", "occurred_at"),
)

SEALED: Final[list[Column[bytes]]] = [
    column for table in metadata.sorted_tables for column in table.columns if "row_id" in column.info
]
"""Every column of sealed values."""


def place(column: Column[bytes], row: Mapping[Any, Any]) -> tuple[str, str, str]:
    """Return what a sealed value is bound to: table, column, and the row by the columns that `_sealed` named."""
    return str(column.table.name), str(column.name), "/".join(str(row[name]) for name in column.info["row_id"])
