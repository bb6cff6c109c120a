"""Where the tenants' vaults come from: the table of wrapped data keys, kept open in memory once read."""

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from app.adapters.db.tables import data_keys, tenants
from app.adapters.vault import KEY_LENGTH, MasterKeys, TenantVault, WrappedKey
from app.ports import Entropy

_OF_TENANT: Final = (
    select(data_keys.c.key_number, data_keys.c.master_key_id, data_keys.c.wrapped)
    .where(data_keys.c.tenant_id == bindparam("of_tenant"))
    .order_by(data_keys.c.key_number)
)
_INSERT: Final = insert(data_keys).inline()
_KEYS_CHANGED: Final = (
    update(tenants).where(tenants.c.tenant_id == bindparam("of_tenant")).values(keys_version=tenants.c.keys_version + 1)
)
_WRAPPED_BY_ANOTHER: Final = select(data_keys).where(data_keys.c.master_key_id != bindparam("first"))
_REWRAP: Final = (
    update(data_keys)
    .where(data_keys.c.tenant_id == bindparam("of_tenant"), data_keys.c.key_number == bindparam("of_number"))
    .values(master_key_id=bindparam("new_master_key_id"), wrapped=bindparam("new_wrapped"))
)


class Vaults:
    """Opens the vaults of tenants.

    A vault is kept until `forget`, which is called when the tenant's `keys_version` changed or the tenant is gone.
    """

    def __init__(self, master_keys: MasterKeys, entropy: Entropy) -> None:
        self._master_keys = master_keys
        self._entropy = entropy
        self._open: dict[str, TenantVault] = {}

    def of(self, connection: Connection, tenant_id: str) -> TenantVault:
        """Return a tenant's vault. Raises `SealBroken` where the tenant has no data key or it does not open."""
        vault = self._open.get(tenant_id)
        if vault is None:
            rows = connection.execute(_OF_TENANT, {"of_tenant": tenant_id})
            wrapped = [WrappedKey(row.key_number, row.master_key_id, row.wrapped) for row in rows]
            keys = {key.number: self._master_keys.unwrap(tenant_id, key) for key in wrapped}
            vault = self._open[tenant_id] = TenantVault(tenant_id, keys, self._entropy)
        return vault

    def add_data_key(self, connection: Connection, tenant_id: str, *, now: int) -> int:
        """Give a tenant its next data key and return its number; used for sealing once the change is committed."""
        number = 1 + max(
            (row.key_number for row in connection.execute(_OF_TENANT, {"of_tenant": tenant_id})), default=0
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
        connection.execute(_KEYS_CHANGED, {"of_tenant": tenant_id})
        return number

    def rewrap(self, connection: Connection) -> int:
        """Wrap by the first master key what another wraps; return how many data keys. The data keys stay the same."""
        rows = connection.execute(_WRAPPED_BY_ANOTHER, {"first": self._master_keys.first}).all()
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
        """Drop a vault; the next transaction reads the data keys again."""
        self._open.pop(tenant_id, None)
