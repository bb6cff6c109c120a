"""Where the tenants' vaults come from: the table of wrapped data keys, kept open in memory once read."""

from typing import Final

from sqlalchemy import bindparam, insert, select, update

from app.adapters.db.connection import Connection
from app.adapters.db.tables import data_keys, tenants
from app.adapters.vault import KEY_LENGTH, DataKeys, MasterKeys, TenantVault, WrappedKey
from app.ports import Entropy
from app.protocol.refusal import Refusal
from app.records import DataKeyHead

_OF_TENANT: Final = (
    select(data_keys.c.key_number, data_keys.c.master_key_id, data_keys.c.wrapped, data_keys.c.created_at)
    .where(data_keys.c.tenant_id == bindparam("of_tenant"))
    .order_by(data_keys.c.key_number)
)
_IS_DELETED: Final = select(tenants.c.tenant_id).where(
    tenants.c.tenant_id == bindparam("of_tenant"), tenants.c.status == "deleted"
)
_INSERT: Final = insert(data_keys).inline()
_KEYS_CHANGED: Final = (
    update(tenants)
    .where(tenants.c.tenant_id == bindparam("of_tenant"), tenants.c.status != "deleted")
    .values(keys_version=tenants.c.keys_version + 1)
)
_WRAPPED_BY: Final = select(data_keys.c.master_key_id).distinct().order_by(data_keys.c.master_key_id)
_WRAPPED_BY_ANOTHER: Final = (
    select(data_keys)
    .where(data_keys.c.master_key_id != bindparam("first"))
    .order_by(data_keys.c.tenant_id, data_keys.c.key_number)
    .limit(bindparam("at_most"))
)
_REWRAP: Final = (
    update(data_keys)
    .where(data_keys.c.tenant_id == bindparam("of_tenant"), data_keys.c.key_number == bindparam("of_number"))
    .values(master_key_id=bindparam("new_master_key_id"), wrapped=bindparam("new_wrapped"))
)


class Vaults:
    """Opens the vaults of tenants.

    Data keys are kept until `forget`, which is called when the tenant's `keys_version` changed or the tenant is gone,
    and read again where a value needs one that is not known.
    """

    def __init__(self, master_keys: MasterKeys, entropy: Entropy) -> None:
        self._master_keys = master_keys
        self._entropy = entropy
        self._kept: dict[str, DataKeys] = {}

    def of(self, connection: Connection, tenant_id: str) -> TenantVault:
        """Return a tenant's vault. Raises `SealBroken` where the tenant has no data key or it does not open.

        Raises `Refusal("not_found")` where the tenant was deleted since its request began.
        """
        keys = self._kept.get(tenant_id) or self._read(connection, tenant_id)
        return TenantVault(keys, self._entropy, lambda: self._read(connection, tenant_id))

    def add_data_key(self, connection: Connection, tenant_id: str, *, now: int) -> int:
        """Give a tenant its next data key and return its number; every process seals with it from its next request on.

        Raises `Refusal` where the tenant is gone.
        """
        # First: it waits for whoever else is adding a key.
        if connection.execute(_KEYS_CHANGED, {"of_tenant": tenant_id}).count == 0:
            raise Refusal("unknown_tenant", "There is no such tenant.")
        number = 1 + max(
            (row.key_number for row in connection.execute(_OF_TENANT, {"of_tenant": tenant_id}).rows),
            default=0,
        )
        key = self._master_keys.wrap(tenant_id, number, self._entropy.octets(KEY_LENGTH))
        connection.execute(
            _INSERT,
            {
                "tenant_id": tenant_id,
                "key_number": key.number,
                "master_key_id": key.master_key_id,
                "wrapped": key.wrapped,
                "created_at": now,
            },
        )
        return number

    def check_master_keys(self, connection: Connection) -> None:
        """Refuse to work on a database of which a master key was not given: a lost one, or another database's."""
        given = self._master_keys.identifiers
        missing = [row.master_key_id for row in connection.execute(_WRAPPED_BY).rows if row.master_key_id not in given]
        if missing:
            raise Refusal(
                "master_key",
                "The master key cannot be used.",
                reason=f"The database needs master key {', '.join(missing)}; given: {', '.join(given)}. Put it back.",
            )

    @property
    def master_key_ids(self) -> list[str]:
        """The identifiers of the master keys; the first wraps."""
        return self._master_keys.identifiers

    def data_keys(self, connection: Connection, tenant_id: str) -> list[DataKeyHead]:
        """Return what can be told about a tenant's data keys, oldest first."""
        return [
            DataKeyHead(number=row.key_number, master_key_id=row.master_key_id, created_at=row.created_at)
            for row in connection.execute(_OF_TENANT, {"of_tenant": tenant_id}).rows
        ]

    def rewrap(self, connection: Connection, *, limit: int) -> int:
        """Wrap by the first master key up to `limit` data keys that another wraps; return how many.

        The data keys stay the same.
        """
        found = {"first": self._master_keys.first, "at_most": limit}
        rows = connection.execute(_WRAPPED_BY_ANOTHER, found).rows
        for row in rows:
            old = WrappedKey(row.key_number, row.master_key_id, row.wrapped)
            new = self._master_keys.wrap(row.tenant_id, old.number, self._master_keys.unwrap(row.tenant_id, old))
            connection.execute(
                _REWRAP,
                {
                    "of_tenant": row.tenant_id,
                    "of_number": new.number,
                    "new_master_key_id": new.master_key_id,
                    "new_wrapped": new.wrapped,
                },
            )
        return len(rows)

    def forget(self, tenant_id: str) -> None:
        """Drop a tenant's data keys; the next transaction reads them again."""
        self._kept.pop(tenant_id, None)

    def _read(self, connection: Connection, tenant_id: str) -> DataKeys:
        rows = connection.execute(_OF_TENANT, {"of_tenant": tenant_id}).rows
        if not rows and connection.execute(_IS_DELETED, {"of_tenant": tenant_id}).rows:
            raise Refusal("not_found", reason="the tenant was deleted meanwhile")
        wrapped = [WrappedKey(row.key_number, row.master_key_id, row.wrapped) for row in rows]
        keys = DataKeys(tenant_id, {key.number: self._master_keys.unwrap(tenant_id, key) for key in wrapped})
        kept = self._kept.get(tenant_id)
        # Of two transactions that read at once, the one that saw less may be the last to come here.
        if kept is None or kept.newest < keys.newest:
            self._kept[tenant_id] = keys
        return keys
