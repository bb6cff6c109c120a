"""The tenant's private keys."""

import base64
from typing import Final

from sqlalchemy import bindparam, insert, select, update

from app.adapters.db.prepared import Row
from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import signing_keys, tenants
from app.records import SigningKey

_INSERT: Final = insert(signing_keys).inline()
_ALL: Final = (
    select(signing_keys)
    .where(signing_keys.c.tenant_id == TENANT)
    .order_by(signing_keys.c.created_at, signing_keys.c.key_id)
)
_RETIRE: Final = (
    update(signing_keys)
    .where(
        signing_keys.c.tenant_id == TENANT,
        signing_keys.c.key_id == bindparam("of_key"),
        signing_keys.c.retired_at.is_(None),
    )
    .values(retired_at=bindparam("now"))
)
_KEYS_CHANGED: Final = (
    update(tenants).where(tenants.c.tenant_id == TENANT).values(keys_version=tenants.c.keys_version + 1)
)


class SqlSigningKeys(TenantRepository):
    """`SigningKeys` on SQL; every change counts the tenant's `keys_version` up, which all processes read."""

    def all(self) -> list[SigningKey]:
        """Return every key, retired ones included, oldest first."""
        return [self._key(row) for row in self._all(_ALL)]

    def add(self, key: SigningKey) -> None:
        """Store a key; every process sees it with its next request."""
        self._insert(
            _INSERT,
            key_id=key.key_id,
            purpose=key.purpose,
            algorithm=key.algorithm,
            public_jwk=key.public_jwk,
            private_key=self._seal_octets(signing_keys.c.private_key, key.private_key, key_id=key.key_id),
            # RFC 7515 §4.1.6: base64, not base64url.
            certificate_chain=[base64.b64encode(certificate).decode() for certificate in key.certificate_chain],
            origin=key.origin,
            created_at=key.created_at,
            retired_at=key.retired_at,
        )
        self._change(_KEYS_CHANGED)

    def retire(self, key_id: str, *, now: int) -> bool:
        """Retire a key; False where it was retired before."""
        if self._change(_RETIRE, of_key=key_id, now=now) == 0:
            return False
        self._change(_KEYS_CHANGED)
        return True

    def _key(self, row: Row) -> SigningKey:
        return SigningKey(
            key_id=row.key_id,
            purpose=row.purpose,
            algorithm=row.algorithm,
            public_jwk=row.public_jwk,
            private_key=self._open_octets(signing_keys.c.private_key, row),
            certificate_chain=[base64.b64decode(certificate) for certificate in row.certificate_chain],
            origin=row.origin,
            created_at=row.created_at,
            retired_at=row.retired_at,
        )
