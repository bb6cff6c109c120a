"""The tables. `migrations/` makes them; a test holds the two equal.

Every primary key begins with `tenant_id` and every foreign key carries it, so no row can point into another tenant.
Times are whole seconds since 1970 by the service's clock; `updated_at` alone is the database's own, kept by triggers
(in the migrations) and used for diagnosis only. What `app.adapters.vault` sealed lies in the columns of `SEALED`.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from app.adapters.db.checks import base64url_43, is_one_of, one_of, pkce_pair, scope_tokens, sha256_digest
from app.adapters.db.columns import (
    digest,
    json,
    of_grant,
    of_session,
    of_tenant,
    sealed,
    tenant_column,
    text,
    time,
    updated_at,
)
from app.interaction.machine import TERMINAL, Status

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


tenants: Final = Table(
    "tenants",
    metadata,
    tenant_column(),
    text("slug", 63),
    text("origin", 260, nullable=True),
    text("status", 16),
    Column("revision", Integer, nullable=False),
    Column("keys_version", Integer, nullable=False),
    time("created_at"),
    time("deleted_at", nullable=True),
    PrimaryKeyConstraint("tenant_id"),
    UniqueConstraint("slug"),
    UniqueConstraint("origin"),
    one_of("status", ["active", "suspended", "deleted"]),
)

data_keys: Final = Table(
    "data_keys",
    metadata,
    tenant_column(),
    Column("key_number", Integer, nullable=False),
    text("master_key_id", 8),
    Column("wrapped", LargeBinary, nullable=False),
    time("created_at"),
    PrimaryKeyConstraint("tenant_id", "key_number"),
    of_tenant(),
)

document_revisions: Final = Table(
    "document_revisions",
    metadata,
    tenant_column(),
    Column("revision", Integer, nullable=False),
    digest("fingerprint"),
    sealed("document", "revision"),
    time("created_at"),
    PrimaryKeyConstraint("tenant_id", "revision"),
    of_tenant(),
)

signing_keys: Final = Table(
    "signing_keys",
    metadata,
    tenant_column(),
    text("key_id", 64),
    text("purpose", 32),
    text("algorithm", 16),
    json("public_jwk"),
    sealed("private_key", "key_id"),
    json("certificate_chain"),
    text("origin", 16),
    time("created_at"),
    time("retired_at", nullable=True),
    PrimaryKeyConstraint("tenant_id", "key_id"),
    of_tenant(),
    one_of("purpose", ["access_token", "credential", "development_ca"]),
    one_of("origin", ["generated", "development", "imported"]),
)

users: Final = Table(
    "users",
    metadata,
    tenant_column(),
    text("user_id", 32),
    digest("username_index"),
    Column("active", Boolean, nullable=False),
    Column("has_demo_hint", Boolean, nullable=False),
    sealed("person", "user_id"),
    PrimaryKeyConstraint("tenant_id", "user_id"),
    UniqueConstraint("tenant_id", "username_index"),
    of_tenant(),
    Index(None, "tenant_id", "has_demo_hint"),
)

login_attempts: Final = Table(
    "login_attempts",
    metadata,
    tenant_column(),
    digest("username_index"),
    Column("attempts", Integer, nullable=False),
    time("expires_at"),
    PrimaryKeyConstraint("tenant_id", "username_index"),
    Index(None, "expires_at"),
)

sessions: Final = Table(
    "sessions",
    metadata,
    tenant_column(),
    text("session_id", 32),
    text("dialect", 16),
    text("client_id"),
    text("redirect_uri", nullable=True),
    text("scope", nullable=True),
    sealed("state", "session_id", nullable=True),
    digest("issuer_state_digest", nullable=True),
    text("code_challenge", 43, nullable=True),
    text("code_challenge_method", 8, nullable=True),
    sealed("authorization_details", "session_id", nullable=True),
    json("interaction_types_supported"),
    text("dpop_jkt", 43, nullable=True),
    text("instance_jkt", 43, nullable=True),
    text("status", 32),
    digest("auth_session_digest", nullable=True),
    digest("request_uri_digest", nullable=True),
    time("request_uri_expires_at", nullable=True),
    # M-13: what an earlier step left behind does not open at a later one, though it is of the same row.
    sealed("presentation_data", "session_id", "step_index", nullable=True),
    sealed("plan", "session_id"),
    Column("step_index", Integer, nullable=False),
    sealed("completed_steps", "session_id", "step_index", nullable=True),
    Column("attempts", Integer, nullable=False),
    time("created_at"),
    time("expires_at"),
    updated_at(),
    PrimaryKeyConstraint("tenant_id", "session_id"),
    UniqueConstraint("tenant_id", "request_uri_digest"),
    UniqueConstraint("tenant_id", "auth_session_digest"),
    Index(None, "expires_at"),
    CheckConstraint("expires_at > created_at", name="lifetime"),
    CheckConstraint("(request_uri_digest IS NULL) = (request_uri_expires_at IS NULL)", name="request_uri_pair"),
    one_of("status", [status.value for status in Status]),
    # What was shown is kept while the session runs, and no longer.
    CheckConstraint(
        f"(completed_steps IS NULL) = ({is_one_of('status', sorted(TERMINAL))})"
        " AND (presentation_data IS NULL OR completed_steps IS NOT NULL)",
        name="erased_when_ended",
    ),
    *pkce_pair(),
    *base64url_43("dpop_jkt"),
    *base64url_43("instance_jkt"),
)

browser_flows: Final = Table(
    "browser_flows",
    metadata,
    tenant_column(),
    text("flow_id", 32),
    text("session_id", 32),
    digest("cookie_digest"),
    Column("step_index", Integer, nullable=False),
    text("user_id", 32, nullable=True),
    sealed("results", "flow_id", "step_index"),  # M-13, as above
    time("created_at"),
    time("expires_at"),
    PrimaryKeyConstraint("tenant_id", "flow_id"),
    UniqueConstraint("tenant_id", "cookie_digest"),
    of_session(),
    Index(None, "tenant_id", "session_id"),
    Index(None, "expires_at"),
)

repeatable_answers: Final = Table(
    "repeatable_answers",
    metadata,
    tenant_column(),
    digest("handle_digest"),
    text("session_id", 32),
    digest("body_digest"),
    # By a key derived from the wallet's `auth_session`, which is not kept: no data key of the tenant opens it.
    Column("sealed", LargeBinary, nullable=False),
    time("expires_at"),
    PrimaryKeyConstraint("tenant_id", "session_id"),
    UniqueConstraint("tenant_id", "handle_digest"),
    of_session(),
    Index(None, "expires_at"),
)

grants: Final = Table(
    "grants",
    metadata,
    tenant_column(),
    text("grant_id", 32),
    text("client_id"),
    text("user_id", 32, nullable=True),
    text("dpop_jkt", 43, nullable=True),
    sealed("authorization", "grant_id", nullable=True),
    Column("credentials_issued", Integer, nullable=False),
    Column("credentials_allowed", Integer, nullable=False),
    time("created_at"),
    time("expires_at"),
    time("revoked_at", nullable=True),
    PrimaryKeyConstraint("tenant_id", "grant_id"),
    Index(None, "expires_at"),
    CheckConstraint("credentials_issued BETWEEN 0 AND credentials_allowed", name="quota"),
    *base64url_43("dpop_jkt"),
)

# A code outlives its session, whose row goes at its expiry: what the code needs, it holds. It goes with its grant.
authorization_codes: Final = Table(
    "authorization_codes",
    metadata,
    tenant_column(),
    digest("code_digest"),
    text("code_id", 32),
    text("session_id", 32),
    text("client_id"),
    text("redirect_uri", nullable=True),
    text("delivered", 16),
    text("scope", nullable=True),
    text("code_challenge", 43, nullable=True),
    text("code_challenge_method", 8, nullable=True),
    text("dpop_jkt", 43, nullable=True),
    text("user_id", 32, nullable=True),
    sealed("authorization", "code_id", nullable=True),
    time("issued_at"),
    time("expires_at"),
    time("used_at", nullable=True),
    text("grant_id", 32, nullable=True),
    json("diagnostics"),
    updated_at(),
    PrimaryKeyConstraint("tenant_id", "code_digest"),
    UniqueConstraint("tenant_id", "code_id"),
    # Deferred: the code is claimed before the grant is written, in one transaction.
    of_grant(deferrable=True, initially="DEFERRED"),
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
    tenant_column(),
    text("token_id", 64),
    text("grant_id", 32),
    time("issued_at"),
    time("expires_at"),
    PrimaryKeyConstraint("tenant_id", "token_id"),
    of_grant(),
    Index(None, "tenant_id", "grant_id"),
    Index(None, "expires_at"),
)

issuances: Final = Table(
    "issuances",
    metadata,
    tenant_column(),
    text("issuance_id", 32),
    text("grant_id", 32),
    text("configuration_id", 64),
    text("holder_jkt", 43),
    time("issued_at"),
    PrimaryKeyConstraint("tenant_id", "issuance_id"),
    of_grant(),
    Index(None, "tenant_id", "grant_id"),
    *base64url_43("holder_jkt"),
)

spent_values: Final = Table(
    "spent_values",
    metadata,
    tenant_column(),
    text("kind", 16),
    digest("digest"),
    time("expires_at"),
    PrimaryKeyConstraint("tenant_id", "kind", "digest"),
    Index(None, "expires_at"),
)

audit_events: Final = Table(
    "audit_events",
    metadata,
    tenant_column(),
    text("event_id", 32),
    time("occurred_at"),
    text("kind", 64),
    text("subject", 255),
    json("detail"),
    PrimaryKeyConstraint("tenant_id", "event_id"),
    Index(None, "tenant_id", "occurred_at"),
)

SEALED: Final[list[Column[bytes]]] = [
    column for table in metadata.sorted_tables for column in table.columns if "row_id" in column.info
]
"""Every column of sealed values."""


def place(column: Column[bytes], row: Mapping[Any, Any]) -> tuple[str, str, str]:
    """Return what a sealed value is bound to: table, column, and the row by the columns that `sealed` named."""
    return str(column.table.name), str(column.name), "/".join(str(row[name]) for name in column.info["row_id"])
