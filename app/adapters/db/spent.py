"""Values that work once."""

from typing import Final

from app.adapters.db.repository import TenantRepository, insert_unless_known
from app.adapters.db.tables import spent_values
from app.protocol.digest import digest
from app.records import SpentKind

_SPEND: Final = insert_unless_known(spent_values)


class SqlSpentValues(TenantRepository):
    """`SpentValues` on SQL: what was spent is a row, and a second row cannot be."""

    def spend(self, kind: SpentKind, value: str, *, expires_at: int) -> bool:
        """Spend a value by a unique insert of its digest; False where it was spent before."""
        return self._upsert(_SPEND, kind=kind, digest=digest(value), expires_at=expires_at) == 1
