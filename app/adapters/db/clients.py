"""Registered wallets."""

from typing import Final

import msgspec
from sqlalchemy import bindparam, delete, insert, select

from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import clients
from app.document.model import Client

_INSERT: Final = insert(clients).inline()
_BY_ID: Final = select(clients.c.registration).where(
    clients.c.tenant_id == TENANT, clients.c.client_id == bindparam("of_client")
)
_DELETE_ALL: Final = delete(clients).where(clients.c.tenant_id == TENANT)


class SqlClients(TenantRepository):
    """`Clients` on SQL."""

    def by_id(self, client_id: str) -> Client | None:
        """Return a registered client, inactive ones included."""
        row = self._first(_BY_ID, of_client=client_id)
        return None if row is None else msgspec.convert(row.registration, Client)

    def replace_all(self, clients: list[Client]) -> None:
        """Make these the tenant's registered clients."""
        self._change(_DELETE_ALL)
        for client in clients:
            self._insert(_INSERT, client_id=client.client_id, registration=msgspec.to_builtins(client))
