"""Values that work once."""

from functools import partial
from typing import Final

from app.adapters.db.repository import TenantRepository, insert_unless_known
from app.adapters.db.tables import spent_values
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.records import SpentKind

_SPEND: Final = insert_unless_known(spent_values)


class SqlSpentValues(TenantRepository):
    """`SpentValues` on SQL: what was spent is a row, and a second row cannot be."""

    def spend(self, kind: SpentKind, value: str, *, expires_at: int, otherwise: Refusal) -> None:
        """Spend a value by a unique insert of its digest."""
        missed = partial(self._was_spent, kind, otherwise)
        self._upsert_soon(_SPEND, missed, kind=kind, digest=digest(value), expires_at=expires_at)

    def _was_spent(self, _: SpentKind, otherwise: Refusal) -> Refusal:
        return otherwise
