"""Interactive authorization sessions."""

from typing import Any, Final

from sqlalchemy import and_, bindparam, insert, select, update

from app.adapters.db.prepared import Row
from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import sessions
from app.interaction.evidence import Evidence
from app.interaction.machine import TERMINAL, Status
from app.interaction.plan import Plan
from app.protocol.refusal import Refusal
from app.records import PresentationData, Session

_INSERT: Final = insert(sessions).inline()
_BY_ID: Final = select(sessions).where(sessions.c.tenant_id == TENANT, sessions.c.session_id == bindparam("of_session"))
_BY_REQUEST_URI: Final = select(sessions).where(
    sessions.c.tenant_id == TENANT, sessions.c.request_uri_digest == bindparam("of_digest")
)
_BY_AUTH_SESSION: Final = select(sessions).where(
    sessions.c.tenant_id == TENANT, sessions.c.auth_session_digest == bindparam("of_digest")
)
_AS_JUDGED: Final = and_(
    sessions.c.tenant_id == TENANT,
    sessions.c.session_id == bindparam("of_session"),
    sessions.c.status == bindparam("judged_status"),
    sessions.c.step_index == bindparam("judged_step_index"),
    sessions.c.auth_session_digest.is_not_distinct_from(bindparam("judged_auth_session_digest")),
)
_ADVANCE: Final = (
    update(sessions)
    .where(_AS_JUDGED, sessions.c.expires_at > bindparam("now"))
    .values(
        status=bindparam("new_status"),
        auth_session_digest=bindparam("new_auth_session_digest"),
        request_uri_digest=bindparam("new_request_uri_digest"),
        request_uri_expires_at=bindparam("new_request_uri_expires_at"),
        presentation_data=bindparam("new_presentation_data"),
        step_index=bindparam("new_step_index"),
        completed_steps=bindparam("new_completed_steps"),
    )
)
_COUNT_ATTEMPT: Final = (
    update(sessions).where(_AS_JUDGED).values(attempts=sessions.c.attempts + 1).returning(sessions.c.attempts)
)


class SqlSessions(TenantRepository):
    """`Sessions` on SQL."""

    def create(self, session: Session) -> None:
        """Store a new session."""
        row_id = session.session_id
        self._insert_soon(
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
            presentation_data=self._presentation_data(session),
            plan=self._seal(sessions.c.plan, session.plan, session_id=row_id),
            step_index=session.step_index,
            completed_steps=self._completed_steps(session),
            attempts=session.attempts,
            created_at=session.created_at,
            expires_at=session.expires_at,
        )

    def by_request_uri(self, digest: bytes) -> Session | None:
        """Return the session a request URI belongs to, whatever its status."""
        return self._session(self._first(_BY_REQUEST_URI, of_digest=digest))

    def by_id(self, session_id: str) -> Session | None:
        """Return a session."""
        return self._session(self._first(_BY_ID, of_session=session_id))

    def by_auth_session(self, digest: bytes) -> Session | None:
        """Return the session whose current `auth_session` this is, whatever its status."""
        return self._session(self._first(_BY_AUTH_SESSION, of_digest=digest))

    def advance(self, judged: Session, moved: Session, *, now: int, otherwise: Refusal) -> None:
        """Move a session on: from how it was judged to how it becomes."""
        self._change_soon(
            _ADVANCE,
            lambda: otherwise,
            **_as_judged(judged),
            now=now,
            new_status=moved.status.value,
            new_auth_session_digest=moved.auth_session_digest,
            new_request_uri_digest=moved.request_uri_digest,
            new_request_uri_expires_at=moved.request_uri_expires_at,
            new_presentation_data=self._presentation_data(moved),
            new_step_index=moved.step_index,
            new_completed_steps=self._completed_steps(moved),
        )

    def count_attempt(self, judged: Session) -> int | None:
        """Count a follow-up that could not be read; return how many there were, None where the session moved on."""
        row = self._first(_COUNT_ATTEMPT, **_as_judged(judged))
        return None if row is None else int(row.attempts)

    def _presentation_data(self, session: Session) -> bytes | None:
        return self._seal(
            sessions.c.presentation_data,
            session.presentation_data,
            session_id=session.session_id,
            step_index=session.step_index,
        )

    def _completed_steps(self, session: Session) -> bytes | None:
        """Seal what was shown; of a session that has ended nothing is kept, and the database would refuse it."""
        return self._seal(
            sessions.c.completed_steps,
            None if session.status in TERMINAL else session.completed_steps,
            session_id=session.session_id,
            step_index=session.step_index,
        )

    def _session(self, row: Row | None) -> Session | None:
        if row is None:
            return None
        status = Status(row.status)
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
            status=status,
            auth_session_digest=row.auth_session_digest,
            request_uri_digest=row.request_uri_digest,
            request_uri_expires_at=row.request_uri_expires_at,
            presentation_data=self._open_or_none(sessions.c.presentation_data, row, PresentationData),
            plan=self._open(sessions.c.plan, row, Plan),
            step_index=row.step_index,
            # M-13: of a session that runs, evidence taken away is no evidence of nothing.
            completed_steps=Evidence() if status in TERMINAL else self._open(sessions.c.completed_steps, row, Evidence),
            attempts=row.attempts,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )


def _as_judged(session: Session) -> dict[str, Any]:
    return {
        "of_session": session.session_id,
        "judged_status": session.status.value,
        "judged_step_index": session.step_index,
        "judged_auth_session_digest": session.auth_session_digest,
    }
