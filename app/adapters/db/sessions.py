"""Interactive authorization sessions."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update

from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import sessions
from app.interaction.machine import Status
from app.interaction.plan import Plan
from app.records import Session

_INSERT: Final = insert(sessions).inline()
_BY_ID: Final = select(sessions).where(sessions.c.tenant_id == TENANT, sessions.c.session_id == bindparam("of_session"))
_BY_REQUEST_URI: Final = select(sessions).where(
    sessions.c.tenant_id == TENANT, sessions.c.request_uri_digest == bindparam("of_digest")
)
_ADVANCE: Final = (
    update(sessions)
    .where(
        sessions.c.tenant_id == TENANT,
        sessions.c.session_id == bindparam("of_session"),
        sessions.c.status == bindparam("judged_status"),
        sessions.c.step_index == bindparam("judged_step_index"),
        sessions.c.expires_at > bindparam("now"),
    )
    .values(
        status=bindparam("new_status"),
        step_index=bindparam("new_step_index"),
        completed_steps=bindparam("new_completed_steps"),
    )
)


class SqlSessions(TenantRepository):
    """`Sessions` on SQL."""

    def create(self, session: Session) -> None:
        """Store a new session."""
        row_id = session.session_id
        self._insert(
            _INSERT,
            session_id=row_id,
            dialect=session.dialect,
            client_id=session.client_id,
            redirect_uri=session.redirect_uri,
            scope=session.scope,
            state=self._seal(sessions.c.state, session.state, session_id=row_id),
            issuer_state_digest=session.issuer_state_digest,
            code_challenge=session.code_challenge,
            code_challenge_method=session.code_challenge_method,
            authorization_details=self._seal(
                sessions.c.authorization_details, session.authorization_details, session_id=row_id
            ),
            interaction_types_supported=session.interaction_types_supported,
            dpop_jkt=session.dpop_jkt,
            instance_jkt=session.instance_jkt,
            status=session.status.value,
            auth_session_digest=session.auth_session_digest,
            request_uri_digest=session.request_uri_digest,
            request_uri_expires_at=session.request_uri_expires_at,
            presentation_data=self._seal(sessions.c.presentation_data, session.presentation_data, session_id=row_id),
            plan=self._seal(sessions.c.plan, session.plan, session_id=row_id),
            step_index=session.step_index,
            completed_steps=self._seal(
                sessions.c.completed_steps, session.completed_steps, session_id=row_id, step_index=session.step_index
            ),
            created_at=session.created_at,
            expires_at=session.expires_at,
        )

    def by_request_uri(self, digest: bytes) -> Session | None:
        """Return the session a request URI belongs to, whatever its status."""
        return self._session(self._first(_BY_REQUEST_URI, of_digest=digest))

    def by_id(self, session_id: str) -> Session | None:
        """Return a session."""
        return self._session(self._first(_BY_ID, of_session=session_id))

    def advance(
        self,
        session: Session,
        *,
        status: Status,
        step_index: int,
        completed_steps: Mapping[str, Any],
        now: int,
    ) -> bool:
        """Move a session on, guarded by the status and step index it was judged with and by its expiry."""
        moved = self._change(
            _ADVANCE,
            of_session=session.session_id,
            judged_status=session.status.value,
            judged_step_index=session.step_index,
            now=now,
            new_status=status.value,
            new_step_index=step_index,
            new_completed_steps=self._seal(
                sessions.c.completed_steps, completed_steps, session_id=session.session_id, step_index=step_index
            ),
        )
        return moved == 1

    def _session(self, row: Row[Any] | None) -> Session | None:
        if row is None:
            return None
        return Session(
            session_id=row.session_id,
            dialect=row.dialect,
            client_id=row.client_id,
            redirect_uri=row.redirect_uri,
            scope=row.scope,
            state=self._open_or_none(sessions.c.state, row, str),
            issuer_state_digest=row.issuer_state_digest,
            code_challenge=row.code_challenge,
            code_challenge_method=row.code_challenge_method,
            authorization_details=self._open_or_none(sessions.c.authorization_details, row, list[dict[str, Any]]),
            interaction_types_supported=row.interaction_types_supported,
            dpop_jkt=row.dpop_jkt,
            instance_jkt=row.instance_jkt,
            status=Status(row.status),
            auth_session_digest=row.auth_session_digest,
            request_uri_digest=row.request_uri_digest,
            request_uri_expires_at=row.request_uri_expires_at,
            presentation_data=self._open_or_none(sessions.c.presentation_data, row, dict[str, Any]),
            plan=self._open(sessions.c.plan, row, Plan),
            step_index=row.step_index,
            completed_steps=self._open(sessions.c.completed_steps, row, dict[str, Any]),
            created_at=row.created_at,
            expires_at=row.expires_at,
        )
