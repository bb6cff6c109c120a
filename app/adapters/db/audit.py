"""The audit trail."""

from typing import Final

import msgspec
from sqlalchemy import insert

from app.adapters.db.repository import TenantRepository
from app.adapters.db.tables import audit_events
from app.records import AuditEvent

_INSERT: Final = insert(audit_events).inline()


class SqlAuditTrail(TenantRepository):
    """`AuditTrail` on SQL."""

    def append(self, event: AuditEvent) -> None:
        """Write an event."""
        self._insert_soon(_INSERT, **msgspec.structs.asdict(event))
