"""What an interactive session needs: counted attempts, evidence that is erased when it ends, repeatable answers."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_ENDED = "status IN ('code_issued', 'expired', 'failed')"
_ERASED_WHEN_ENDED = (
    f"(completed_steps IS NULL) = ({_ENDED}) AND (presentation_data IS NULL OR completed_steps IS NOT NULL)"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _make_sessions_anew()
    else:
        _alter_sessions()
    op.create_table(
        "repeatable_answers",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("handle_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sessions.tenant_id", "sessions.session_id"],
            name=op.f("fk_repeatable_answers_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "handle_digest", name=op.f("pk_repeatable_answers")),
    )
    op.create_index(op.f("ix_repeatable_answers_expires_at"), "repeatable_answers", ["expires_at"])
    op.create_index(
        op.f("ix_repeatable_answers_tenant_id_session_id"), "repeatable_answers", ["tenant_id", "session_id"]
    )


def _alter_sessions() -> None:
    op.add_column("sessions", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("sessions", "attempts", server_default=None)
    op.alter_column("sessions", "completed_steps", existing_type=sa.LargeBinary(), nullable=True)
    # Of `presentation_data` there is none: nothing wrote it before this version.
    op.execute(f"UPDATE sessions SET completed_steps = NULL WHERE {_ENDED}")  # noqa: S608  # written in this file
    op.create_check_constraint(op.f("ck_sessions_erased_when_ended"), "sessions", _ERASED_WHEN_ENDED)


def _make_sessions_anew() -> None:
    """Rebuild the table: SQLite cannot change a column. Foreign keys are off meanwhile (`app.adapters.db.migrate`)."""
    op.execute("CREATE TABLE sessions_before AS SELECT * FROM sessions")
    op.execute("DROP TABLE sessions")
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
        sa.Column("completed_steps", sa.LargeBinary(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("(unixepoch())"), nullable=False),
        sa.CheckConstraint("code_challenge_method = 'S256'", name=op.f("ck_sessions_pkce_method")),
        *(
            sa.CheckConstraint(
                f"length({column}) = 43 AND {column} NOT GLOB '*[^A-Za-z0-9_-]*'",
                name=op.f(f"ck_sessions_{column}_shape"),
            )
            for column in ("code_challenge", "dpop_jkt", "instance_jkt")
        ),
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
        sa.CheckConstraint(_ERASED_WHEN_ENDED, name=op.f("ck_sessions_erased_when_ended")),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("tenant_id", "auth_session_digest", name=op.f("uq_sessions_tenant_id_auth_session_digest")),
        sa.UniqueConstraint("tenant_id", "request_uri_digest", name=op.f("uq_sessions_tenant_id_request_uri_digest")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"])
    same = (
        "tenant_id, session_id, dialect, client_id, redirect_uri, scope, state, issuer_state_digest, code_challenge,"
        " code_challenge_method, authorization_details, interaction_types_supported, dpop_jkt, instance_jkt, status,"
        " auth_session_digest, request_uri_digest, request_uri_expires_at, plan, step_index, created_at, expires_at,"
        " updated_at"
    )
    op.execute(
        f"""INSERT INTO sessions ({same}, attempts, completed_steps)
            SELECT {same}, 0, iif({_ENDED}, NULL, completed_steps) FROM sessions_before"""  # noqa: S608  # as above
    )
    op.execute("DROP TABLE sessions_before")
    op.execute(
        """CREATE TRIGGER sessions_updated_at AFTER UPDATE ON sessions WHEN NEW.updated_at IS NOT unixepoch()
        BEGIN
            UPDATE sessions SET updated_at = unixepoch()
            WHERE tenant_id = NEW.tenant_id AND session_id = NEW.session_id;
        END"""
    )
