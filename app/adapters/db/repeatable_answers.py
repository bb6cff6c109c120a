"""Answers kept for wallets that did not receive them."""

from typing import Final

import msgspec
from sqlalchemy import bindparam, delete, insert, select

from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import repeatable_answers as answers
from app.records import RepeatableAnswer

_INSERT: Final = insert(answers).inline()
_OF_SESSION: Final = delete(answers).where(
    answers.c.tenant_id == TENANT, answers.c.session_id == bindparam("of_session")
)
_FIND: Final = select(answers).where(answers.c.tenant_id == TENANT, answers.c.handle_digest == bindparam("of_handle"))
_TAKE: Final = delete(answers).where(answers.c.tenant_id == TENANT, answers.c.handle_digest == bindparam("of_handle"))


class SqlRepeatableAnswers(TenantRepository):
    """`RepeatableAnswers` on SQL. What is sealed here no key of the tenant opens."""

    def keep(self, answer: RepeatableAnswer) -> None:
        """Keep an answer instead of the session's earlier one: a follow-up after it shows that it was received."""
        self._change(_OF_SESSION, of_session=answer.session_id)
        self._insert(_INSERT, **msgspec.structs.asdict(answer))

    def find(self, handle_digest: bytes) -> RepeatableAnswer | None:
        """Return the answer to a follow-up by the handle it presented, expired ones included."""
        row = self._first(_FIND, of_handle=handle_digest)
        if row is None:
            return None
        return RepeatableAnswer(
            handle_digest=row.handle_digest,
            session_id=row.session_id,
            body_digest=row.body_digest,
            sealed=row.sealed,
            expires_at=row.expires_at,
        )

    def take(self, answer: RepeatableAnswer) -> bool:
        """Use an answer up; False where it is gone already."""
        return self._change(_TAKE, of_handle=answer.handle_digest) == 1
