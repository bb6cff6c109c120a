"""The first schema."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    now = "(unixepoch())" if _on_sqlite() else "(extract(epoch from now())::bigint)"

    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("origin", sa.String(length=260), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("keys_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleted')", name=op.f("ck_tenants_status_known")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("origin", name=op.f("uq_tenants_origin")),
        sa.UniqueConstraint("slug", name=op.f("uq_tenants_slug")),
    )
    op.create_table(
        "audit_events",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "event_id", name=op.f("pk_audit_events")),
    )
    op.create_index(op.f("ix_audit_events_tenant_id_occurred_at"), "audit_events", ["tenant_id", "occurred_at"])
    op.create_table(
        "grants",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("grant_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("dpop_jkt", sa.String(length=43), nullable=True),
        sa.Column("authorization", sa.LargeBinary(), nullable=True),
        sa.Column("credentials_issued", sa.Integer(), nullable=False),
        sa.Column("credentials_allowed", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        _base64url_43("grants", "dpop_jkt"),
        sa.CheckConstraint("credentials_issued BETWEEN 0 AND credentials_allowed", name=op.f("ck_grants_quota")),
        sa.PrimaryKeyConstraint("tenant_id", "grant_id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_expires_at"), "grants", ["expires_at"])
    op.create_table(
        "login_attempts",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("username_index", sa.LargeBinary(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "username_index", name=op.f("pk_login_attempts")),
    )
    op.create_index(op.f("ix_login_attempts_expires_at"), "login_attempts", ["expires_at"])
    op.create_table(
        "sessions",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("dialect", sa.String(length=16), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("redirect_uri", sa.String(), nullable=True),
        sa.Column("scope", sa.String(), nullable=True),
        sa.Column("state", sa.LargeBinary(), nullable=True),
        sa.Column("issuer_state_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("code_challenge", sa.String(length=43), nullable=True),
        sa.Column("code_challenge_method", sa.String(length=8), nullable=True),
        sa.Column("authorization_details", sa.LargeBinary(), nullable=True),
        sa.Column("interaction_types_supported", sa.JSON(), nullable=False),
        sa.Column("dpop_jkt", sa.String(length=43), nullable=True),
        sa.Column("instance_jkt", sa.String(length=43), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("auth_session_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("request_uri_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("request_uri_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("presentation_data", sa.LargeBinary(), nullable=True),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("step_index", sa.Integer(), nullable=False),
        sa.Column("completed_steps", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text(now), nullable=False),
        sa.CheckConstraint("code_challenge_method = 'S256'", name=op.f("ck_sessions_pkce_method")),
        _base64url_43("sessions", "code_challenge"),
        _base64url_43("sessions", "dpop_jkt"),
        _base64url_43("sessions", "instance_jkt"),
        sa.CheckConstraint(
            "status IN ('pending', 'presentation_received', 'web_auth_completed', 'all_steps_completed',"
            " 'code_issued', 'expired', 'failed')",
            name=op.f("ck_sessions_status_known"),
        ),
        sa.CheckConstraint(
            "(code_challenge IS NULL) = (code_challenge_method IS NULL)", name=op.f("ck_sessions_pkce_pair")
        ),
        sa.CheckConstraint(
            "(request_uri_digest IS NULL) = (request_uri_expires_at IS NULL)", name=op.f("ck_sessions_request_uri_pair")
        ),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_sessions_lifetime")),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("tenant_id", "auth_session_digest", name=op.f("uq_sessions_tenant_id_auth_session_digest")),
        sa.UniqueConstraint("tenant_id", "request_uri_digest", name=op.f("uq_sessions_tenant_id_request_uri_digest")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"])
    op.create_table(
        "spent_values",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "digest", name=op.f("pk_spent_values")),
    )
    op.create_index(op.f("ix_spent_values_expires_at"), "spent_values", ["expires_at"])
    op.create_table(
        "access_tokens",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("grant_id", sa.String(length=32), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "grant_id"],
            ["grants.tenant_id", "grants.grant_id"],
            name=op.f("fk_access_tokens_grants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "token_id", name=op.f("pk_access_tokens")),
    )
    op.create_index(op.f("ix_access_tokens_expires_at"), "access_tokens", ["expires_at"])
    op.create_index(op.f("ix_access_tokens_tenant_id_grant_id"), "access_tokens", ["tenant_id", "grant_id"])
    op.create_table(
        "authorization_codes",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("code_id", sa.String(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("redirect_uri", sa.String(), nullable=True),
        sa.Column("delivered", sa.String(length=16), nullable=False),
        sa.Column("scope", sa.String(), nullable=True),
        sa.Column("code_challenge", sa.String(length=43), nullable=True),
        sa.Column("code_challenge_method", sa.String(length=8), nullable=True),
        sa.Column("dpop_jkt", sa.String(length=43), nullable=True),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("authorization", sa.LargeBinary(), nullable=True),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("grant_id", sa.String(length=32), nullable=True),
        sa.Column("diagnostics", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text(now), nullable=False),
        sa.CheckConstraint("code_challenge_method = 'S256'", name=op.f("ck_authorization_codes_pkce_method")),
        sa.CheckConstraint("delivered IN ('redirect', 'json')", name=op.f("ck_authorization_codes_delivered_known")),
        _base64url_43("authorization_codes", "code_challenge"),
        _base64url_43("authorization_codes", "dpop_jkt"),
        _scope_tokens("authorization_codes", "scope"),
        sa.CheckConstraint(
            "(code_challenge IS NULL) = (code_challenge_method IS NULL)", name=op.f("ck_authorization_codes_pkce_pair")
        ),
        sa.CheckConstraint("(used_at IS NULL) = (grant_id IS NULL)", name=op.f("ck_authorization_codes_use_pair")),
        sa.CheckConstraint(
            "expires_at > issued_at AND expires_at - issued_at <= 600", name=op.f("ck_authorization_codes_lifetime")
        ),
        sa.CheckConstraint("length(code_digest) = 32", name=op.f("ck_authorization_codes_code_digest_length")),
        sa.CheckConstraint(
            'used_at IS NULL OR "authorization" IS NULL', name=op.f("ck_authorization_codes_erased_when_used")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "grant_id"],
            ["grants.tenant_id", "grants.grant_id"],
            name=op.f("fk_authorization_codes_grants"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("tenant_id", "code_digest", name=op.f("pk_authorization_codes")),
        sa.UniqueConstraint("tenant_id", "code_id", name=op.f("uq_authorization_codes_tenant_id_code_id")),
    )
    op.create_index(op.f("ix_authorization_codes_expires_at"), "authorization_codes", ["expires_at"])
    op.create_index(op.f("ix_authorization_codes_tenant_id_grant_id"), "authorization_codes", ["tenant_id", "grant_id"])
    op.create_table(
        "browser_flows",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("flow_id", sa.String(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("cookie_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("step_index", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("results", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sessions.tenant_id", "sessions.session_id"],
            name=op.f("fk_browser_flows_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "flow_id", name=op.f("pk_browser_flows")),
        sa.UniqueConstraint("tenant_id", "cookie_digest", name=op.f("uq_browser_flows_tenant_id_cookie_digest")),
    )
    op.create_index(op.f("ix_browser_flows_expires_at"), "browser_flows", ["expires_at"])
    op.create_index(op.f("ix_browser_flows_tenant_id_session_id"), "browser_flows", ["tenant_id", "session_id"])
    op.create_table(
        "clients",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("registration", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_clients_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", name=op.f("pk_clients")),
    )
    op.create_table(
        "data_keys",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("key_number", sa.Integer(), nullable=False),
        sa.Column("master_key_id", sa.String(length=8), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_data_keys_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "key_number", name=op.f("pk_data_keys")),
    )
    op.create_table(
        "document_revisions",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_document_revisions_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "revision", name=op.f("pk_document_revisions")),
    )
    op.create_table(
        "issuances",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("issuance_id", sa.String(length=32), nullable=False),
        sa.Column("grant_id", sa.String(length=32), nullable=False),
        sa.Column("configuration_id", sa.String(length=64), nullable=False),
        sa.Column("holder_jkt", sa.String(length=43), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        _base64url_43("issuances", "holder_jkt"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "grant_id"],
            ["grants.tenant_id", "grants.grant_id"],
            name=op.f("fk_issuances_grants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "issuance_id", name=op.f("pk_issuances")),
    )
    op.create_index(op.f("ix_issuances_tenant_id_grant_id"), "issuances", ["tenant_id", "grant_id"])
    op.create_table(
        "signing_keys",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=False),
        sa.Column("certificate_chain", sa.JSON(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "origin IN ('generated', 'development', 'imported')", name=op.f("ck_signing_keys_origin_known")
        ),
        sa.CheckConstraint(
            "purpose IN ('access_token', 'credential', 'development_ca')", name=op.f("ck_signing_keys_purpose_known")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_signing_keys_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "key_id", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "users",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("username_index", sa.LargeBinary(length=32), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("has_demo_hint", sa.Boolean(), nullable=False),
        sa.Column("person", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_users_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("tenant_id", "username_index", name=op.f("uq_users_tenant_id_username_index")),
    )
    op.create_index(op.f("ix_users_tenant_id_has_demo_hint"), "users", ["tenant_id", "has_demo_hint"])

    _keep_updated_at("sessions", "session_id")
    _keep_updated_at("authorization_codes", "code_digest")


def _on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _base64url_43(table: str, column: str) -> sa.CheckConstraint:
    return _check(
        table,
        f"{column}_shape",
        sqlite=f"length({column}) = 43 AND {column} NOT GLOB '*[^A-Za-z0-9_-]*'",
        postgresql=f"{column} ~ '^[A-Za-z0-9_-]{{43}}$'",
    )


def _scope_tokens(table: str, column: str) -> sa.CheckConstraint:
    return _check(
        table,
        f"{column}_characters",
        sqlite=f"length({column}) > 0 AND {column} NOT GLOB '*[^] !#-[^-~]*'",
        postgresql=rf"{column} ~ '^[\x20\x21\x23-\x5B\x5D-\x7E]+$'",
    )


def _check(table: str, name: str, *, sqlite: str, postgresql: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(sqlite if _on_sqlite() else postgresql, name=op.f(f"ck_{table}_{name}"))


def _keep_updated_at(table: str, key: str) -> None:
    """Let the database keep `updated_at`, whoever writes the row."""
    if _on_sqlite():
        op.execute(
            f"""CREATE TRIGGER {table}_updated_at AFTER UPDATE ON {table} WHEN NEW.updated_at IS NOT unixepoch()
            BEGIN
                UPDATE {table} SET updated_at = unixepoch() WHERE tenant_id = NEW.tenant_id AND {key} = NEW.{key};
            END"""  # noqa: S608  # names written in this file
        )
        return
    op.execute(
        f"""CREATE FUNCTION {table}_updated_at() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.updated_at := extract(epoch from now())::bigint; RETURN NEW; END $$"""
    )
    op.execute(
        f"""CREATE TRIGGER {table}_updated_at BEFORE UPDATE ON {table}
        FOR EACH ROW EXECUTE FUNCTION {table}_updated_at()"""
    )
