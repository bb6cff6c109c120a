"""Work across tenants: making, listing and deleting them, and expiry."""

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import bindparam, delete, insert, select, update

from app.adapters.db.connection import TAKEN, Connection
from app.adapters.db.expiry import delete_expired, end_timed_out_sessions, erase_expired
from app.adapters.db.prepared import Row
from app.adapters.db.store import SqlTenantStore
from app.adapters.db.tables import browser_flows, metadata, sessions, tenants
from app.adapters.db.transactions import Transactions, await_turn
from app.adapters.db.vaults import Vaults
from app.ports import DatabaseUnavailable, Entropy
from app.protocol.refusal import Refusal
from app.records import DataKeyHead, TenantHead
from app.storage import PlatformStore

T = TypeVar("T")

_PATIENCE: Final = 600
"""Seconds that commands and jobs wait for a transaction: one may change many rows."""

_ALIVE: Final = select(tenants).where(tenants.c.status != "deleted").order_by(tenants.c.slug)
_ANY: Final = select(tenants.c.tenant_id).limit(1)
_BY_SLUG: Final = select(tenants).where(tenants.c.slug == bindparam("of_slug"))
_INSERT: Final = insert(tenants).inline()
_SET_ORIGIN: Final = (
    update(tenants).where(tenants.c.tenant_id == bindparam("of_tenant")).values(origin=bindparam("new_origin"))
)
_MARK_DELETED: Final = (
    update(tenants)
    .where(tenants.c.tenant_id == bindparam("of_tenant"))
    .values(
        status="deleted",
        origin=None,
        revision=0,
        keys_version=tenants.c.keys_version + 1,
        deleted_at=bindparam("now"),
    )
)
_LATE: Final = 3600
"""Seconds after a tenant's deletion in which a request that had begun before may write for it; far more than enough."""
_DELETED_LATELY: Final = select(tenants.c.tenant_id).where(
    tenants.c.status == "deleted", tenants.c.deleted_at > bindparam("since")
)
# In the order in which requests lock rows, so that none waits for the other (N-12): browsers' ways, then sessions, with
# which their kept answers go, then the rest. Otherwise children before parents.
_DELETE_ROWS: Final = [
    delete(table).where(table.c.tenant_id == bindparam("of_tenant"))
    for table in (browser_flows, sessions, *reversed(metadata.sorted_tables))
    if table is not tenants
]


def tenant_head(row: Row) -> TenantHead:
    """Read a row of `tenants`."""
    return TenantHead(
        tenant_id=row.tenant_id,
        slug=row.slug,
        origin=row.origin,
        status=row.status,
        revision=row.revision,
        keys_version=row.keys_version,
        created_at=row.created_at,
    )


class SqlPlatformStore:
    """`PlatformStore` on SQL, within one transaction."""

    def __init__(self, connection: Connection, vaults: Vaults, entropy: Entropy) -> None:
        self._connection = connection
        self._vaults = vaults
        self._entropy = entropy

    def tenants(self) -> list[TenantHead]:
        """Return every tenant that is not deleted, by slug."""
        return [tenant_head(row) for row in self._connection.execute(_ALIVE).rows]

    def by_slug(self, slug: str) -> TenantHead | None:
        """Return a tenant, deleted ones included: a slug is never given out twice."""
        row = self._connection.execute(_BY_SLUG, {"of_slug": slug}).first
        return None if row is None else tenant_head(row)

    def create(self, *, slug: str, origin: str | None, now: int) -> TenantHead:
        """Make a tenant with its first data key. Raises `Refusal` where slug or origin is taken."""
        tenant_id = self._entropy.identifier()
        values = {
            "tenant_id": tenant_id,
            "slug": slug,
            "origin": origin,
            "status": "active",
            "revision": 0,
            "keys_version": 0,
            "created_at": now,
        }
        try:
            self._connection.execute(_INSERT, values)
        except TAKEN:
            raise Refusal("tenant_exists", "Slug or origin belongs to another tenant.") from None
        self._vaults.add_data_key(self._connection, tenant_id, now=now)
        created = self.by_slug(slug)
        assert created is not None  # noqa: S101  # inserted above, in this transaction
        return created

    def set_origin(self, tenant_id: str, origin: str | None) -> None:
        """Give a tenant an origin of its own, or take it back. Raises `Refusal` where another tenant has it."""
        try:
            self._connection.execute(_SET_ORIGIN, {"of_tenant": tenant_id, "new_origin": origin})
        except TAKEN:
            raise Refusal("tenant_exists", "The origin belongs to another tenant.") from None

    def delete(self, tenant_id: str, *, now: int) -> None:
        """Destroy a tenant's data keys and rows; its slug stays taken."""
        await_turn(self._connection)
        # First: it waits for whoever is changing the tenant, whose rows would otherwise be written behind the deletion.
        self._connection.execute(_MARK_DELETED, {"of_tenant": tenant_id, "now": now})
        self._delete_rows(tenant_id)
        self._vaults.forget(tenant_id)

    def add_data_key(self, tenant_id: str, *, now: int) -> int:
        """Give a tenant its next data key and return its number. Raises `Refusal` where the tenant is gone."""
        return self._vaults.add_data_key(self._connection, tenant_id, now=now)

    def rewrap_data_keys(self, *, limit: int) -> int:
        """Wrap by the first master key up to `limit` data keys that another wraps; return how many."""
        return self._vaults.rewrap(self._connection, limit=limit)

    def data_keys(self, tenant_id: str) -> list[DataKeyHead]:
        """Return a tenant's data keys, oldest first; the last one seals."""
        return self._vaults.data_keys(self._connection, tenant_id)

    def master_keys(self) -> list[str]:
        """Return the identifiers of the master keys that were given; the first wraps."""
        return self._vaults.master_key_ids

    def tenant(self, tenant_id: str) -> SqlTenantStore:
        """Return the repositories of one tenant in this transaction."""
        return SqlTenantStore(self._connection, self._vaults.of(self._connection, tenant_id))

    def end_timed_out_sessions(self, *, now: int, limit: int) -> int:
        """Record up to `limit` unfinished sessions past their expiry as `expired`, and erase what they held."""
        return end_timed_out_sessions(self._connection, self._entropy, now=now, limit=limit)

    def erase_expired(self, *, now: int, limit: int) -> int:
        """Erase what up to `limit` rows per table hold past their expiry; return how many rows."""
        return erase_expired(self._connection, now=now, limit=limit)

    def delete_expired(self, *, now: int, limit: int) -> int:
        """Delete up to `limit` rows per table that nothing can use any more; return how many."""
        expired = delete_expired(self._connection, now=now, limit=limit)
        # M-19: what requests under way wrote behind the deletion of their tenant.
        deleted = self._connection.execute(_DELETED_LATELY, {"since": now - _LATE}).rows
        return expired + sum(self._delete_rows(row.tenant_id) for row in deleted)

    def _delete_rows(self, tenant_id: str) -> int:
        return sum(self._connection.execute(each, {"of_tenant": tenant_id}).count for each in _DELETE_ROWS)


class SqlPlatform:
    """`Platform` on SQL."""

    def __init__(self, transactions: Transactions, vaults: Vaults, entropy: Entropy) -> None:
        self._transactions = transactions
        self._vaults = vaults
        self._entropy = entropy

    async def transact(self, work: Callable[[PlatformStore], T]) -> T:
        """Run `work` in a write transaction and commit."""
        return await self._transactions.write(
            lambda connection: work(SqlPlatformStore(connection, self._vaults, self._entropy)), patience=_PATIENCE
        )

    async def is_reachable(self) -> bool:
        """Whether the database answers."""
        try:
            await self._transactions.read(lambda connection: connection.execute(_ANY))
        except DatabaseUnavailable:
            return False
        return True
