"""Opens tenants: one glance per request at the tenant's row, and what it says is current comes from memory."""

from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Select, bindparam, select

from app.adapters.db.connection import Connection
from app.adapters.db.platform import tenant_head
from app.adapters.db.prepared import Row
from app.adapters.db.store import SqlTenantStore
from app.adapters.db.tables import tenants
from app.adapters.db.transactions import Transactions
from app.adapters.db.vaults import Vaults
from app.adapters.keystore import StoredKeyRing
from app.document.model import TenantDocument
from app.ports import Clock, Database, Entropy, KeyRing
from app.protocol.refusal import Refusal
from app.records import TenantHead
from app.tenancy import Tenancy, issuer_identifier

_BY_SLUG: Final = select(tenants).where(tenants.c.slug == bindparam("name"), tenants.c.origin.is_(None))
_BY_ORIGIN: Final = select(tenants).where(tenants.c.origin == bindparam("name"))


class _Loaded(Struct, frozen=True):
    """A tenant's document and keys as they were when last read."""

    revision: int
    document: TenantDocument
    keys_version: int
    keys: KeyRing


class SqlTenancies:
    """`Tenancies` on SQL: the only maker of `Tenancy`.

    In memory there is one document and one key ring for each tenant, found by `tenant_id` and replaced as soon as
    the tenant's row names another revision or `keys_version`; so every process follows a change with its next request.
    """

    def __init__(
        self,
        transactions: Transactions,
        vaults: Vaults,
        *,
        database: Database,
        clock: Clock,
        entropy: Entropy,
        public_url: str,
    ) -> None:
        self._transactions = transactions
        self._vaults = vaults
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._public_url = public_url
        self._loaded: dict[str, _Loaded] = {}

    async def by_slug(self, slug: str) -> Tenancy | None:
        """Return an active tenant under the public URL; one with an origin of its own is not found here."""
        return await self._open(_BY_SLUG, slug)

    async def by_origin(self, origin: str) -> Tenancy | None:
        """Return an active tenant that has this origin of its own."""
        return await self._open(_BY_ORIGIN, origin)

    async def _open(self, statement: Select[Any], name: str) -> Tenancy | None:
        rows = await self._transactions.glance(statement, {"name": name})
        row = rows[0] if rows else None
        # M-22: one that is gone takes no longer than one that never was, or the time would tell.
        if row is None or self._is_gone(row):
            return None
        head = tenant_head(row)
        loaded = self._current(head)
        if loaded is None:
            found = await self._transactions.read(lambda connection: self._read(connection, statement, name))
            if found is None:
                return None
            head, loaded = found
        return Tenancy(
            tenant_id=head.tenant_id,
            slug=head.slug,
            issuer=issuer_identifier(head.slug, origin=head.origin, public_url=self._public_url),
            document=loaded.document,
            keys=loaded.keys,
            clock=self._clock,
            entropy=self._entropy,
            database=self._database,
        )

    def _current(self, head: TenantHead) -> _Loaded | None:
        """Return what is in memory of a tenant, if its row still says so."""
        loaded = self._loaded.get(head.tenant_id)
        if loaded is None:
            return None
        return loaded if (loaded.revision, loaded.keys_version) == (head.revision, head.keys_version) else None

    def _read(self, connection: Connection, statement: Select[Any], name: str) -> tuple[TenantHead, _Loaded] | None:
        row = connection.execute(statement, {"name": name}).first
        if row is None or self._is_gone(row) or row.revision == 0:
            return None
        head = tenant_head(row)
        loaded = self._current(head)
        if loaded is None:
            loaded = self._loaded[head.tenant_id] = self._load(connection, head, self._loaded.get(head.tenant_id))
        return head, loaded

    def _is_gone(self, row: Row) -> bool:
        """Whether a tenant is not served; of a deleted one nothing stays in memory."""
        if row.status == "deleted":
            self._loaded.pop(row.tenant_id, None)
            self._vaults.forget(row.tenant_id)
        return bool(row.status != "active")

    def _load(self, connection: Connection, head: TenantHead, before: _Loaded | None) -> _Loaded:
        if before is None or before.keys_version != head.keys_version:
            self._vaults.forget(head.tenant_id)  # there may be new data keys
        vault = self._vaults.of(connection, head.tenant_id)
        store = SqlTenantStore(connection, vault)
        signing_keys = store.signing_keys.all()
        try:
            # Last: while it is there, everything else was.
            revision, document = store.documents.current()
        except LookupError:
            raise Refusal("not_found", reason="the document is gone: deleted meanwhile") from None
        keys = StoredKeyRing(signing_keys, nonce_key=vault.derive("nonces"))
        return _Loaded(revision, document, head.keys_version, keys)
