"""Answers kept for wallets that did not receive them."""

from typing import Final

import msgspec
from sqlalchemy import Insert, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from app.adapters.db.repository import TENANT, TenantRepository, UpsertPair
from app.adapters.db.tables import repeatable_answers as answers
from app.records import RepeatableAnswer


def _instead_of_the_earlier(statement: sqlite.Insert | postgresql.Insert) -> Insert:
    changed = {name: statement.excluded[name] for name in ("handle_digest", "body_digest", "sealed", "expires_at")}
    return statement.on_conflict_do_update(index_elements=["tenant_id", "session_id"], set_=changed)


_KEEP: Final[UpsertPair] = {
    "sqlite": _instead_of_the_earlier(sqlite.insert(answers)),
    "postgresql": _instead_of_the_earlier(postgresql.insert(answers)),
}
_FIND: Final = select(answers).where(answers.c.tenant_id == TENANT, answers.c.handle_digest == bindparam("of_handle"))
_TAKE: Final = delete(answers).where(answers.c.tenant_id == TENANT, answers.c.handle_digest == bindparam("of_handle"))


class SqlRepeatableAnswers(TenantRepository):
    """`RepeatableAnswers` on SQL. What is sealed here no key of the tenant opens."""

    def keep(self, answer: RepeatableAnswer) -> None:
        """Keep an answer instead of the session's earlier one: a follow-up after it shows that it was received."""
        self._upsert_soon(_KEEP, **msgspec.structs.asdict(answer))

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
