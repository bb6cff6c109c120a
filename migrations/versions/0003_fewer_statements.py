"""Registered clients are read from the tenant's document: their table, a copy of it, goes. A session has one answer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.drop_table("clients")
    # Anew: what is in it lives for half a minute.
    op.drop_table("repeatable_answers")
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
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name=op.f("pk_repeatable_answers")),
        sa.UniqueConstraint("tenant_id", "handle_digest", name=op.f("uq_repeatable_answers_tenant_id_handle_digest")),
    )
    op.create_index(op.f("ix_repeatable_answers_expires_at"), "repeatable_answers", ["expires_at"])
