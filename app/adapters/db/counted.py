"""The database as it counts for the metrics: what transactions recorded, once they are committed."""

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from msgspec import Struct

from app.adapters.db.audit import SqlAuditTrail
from app.adapters.db.connection import Connection
from app.adapters.db.spent import SqlSpentValues
from app.adapters.db.store import SqlDatabase, SqlTenantStore
from app.adapters.db.transactions import Transactions
from app.adapters.db.vaults import Vaults
from app.adapters.vault import TenantVault
from app.ports import Metrics
from app.protocol.refusal import Refusal
from app.records import AuditEvent, SpentKind
from app.storage import TenantStore

T = TypeVar("T")


class _Noted(Struct):
    """What one transaction did that is counted."""

    events: list[AuditEvent] = []
    replays: list[SpentKind] = []


class _NotingAuditTrail(SqlAuditTrail):
    def __init__(self, connection: Connection, vault: TenantVault, noted: _Noted) -> None:
        super().__init__(connection, vault)
        self._noted = noted

    def append(self, event: AuditEvent) -> None:
        super().append(event)
        self._noted.events.append(event)


class _NotingSpentValues(SqlSpentValues):
    def __init__(self, connection: Connection, vault: TenantVault, noted: _Noted) -> None:
        super().__init__(connection, vault)
        self._noted = noted

    def _was_spent(self, kind: SpentKind, otherwise: Refusal) -> Refusal:
        self._noted.replays.append(kind)
        return otherwise


class _NotingStore(SqlTenantStore):
    def __init__(self, connection: Connection, vault: TenantVault, noted: _Noted) -> None:
        super().__init__(connection, vault)
        self._noted = noted

    @cached_property
    def spent(self) -> SqlSpentValues:
        return _NotingSpentValues(self._connection, self._vault, self._noted)

    @cached_property
    def audit(self) -> SqlAuditTrail:
        return _NotingAuditTrail(self._connection, self._vault, self._noted)


class CountedDatabase(SqlDatabase):
    """`Database` on SQL that counts audit events when they are committed, and replays also where that rolled back."""

    def __init__(self, transactions: Transactions, vaults: Vaults, metrics: Metrics) -> None:
        super().__init__(transactions, vaults)
        self._metrics = metrics

    async def write(self, tenant_id: str, work: Callable[[TenantStore], T]) -> T:
        """Run `work` in a write transaction, commit, and count."""
        noted = _Noted()

        def noting(connection: Connection) -> T:
            return work(_NotingStore(connection, self._vaults.of(connection, tenant_id), noted))

        try:
            result = await self._transactions.write(noting)
        finally:
            for kind in noted.replays:
                self._metrics.replay(kind)
        for event in noted.events:
            self._metrics.event(event)
        return result
