"""The revisions of the tenant document."""

import hmac
from typing import Final

from sqlalchemy import and_, insert, select, update

from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import document_revisions as revisions
from app.adapters.db.tables import tenants
from app.document.model import TenantDocument
from app.protocol.refusal import Refusal

_CURRENT: Final = (
    select(revisions)
    .join_from(
        tenants,
        revisions,
        and_(revisions.c.tenant_id == tenants.c.tenant_id, revisions.c.revision == tenants.c.revision),
    )
    .where(tenants.c.tenant_id == TENANT)
)
_COUNT_UP: Final = (
    update(tenants)
    .where(tenants.c.tenant_id == TENANT, tenants.c.status != "deleted")
    .values(revision=tenants.c.revision + 1)
    .returning(tenants.c.revision)
)
_INSERT: Final = insert(revisions).inline()


class SqlDocuments(TenantRepository):
    """`Documents` on SQL."""

    def current(self) -> tuple[int, TenantDocument]:
        """Return the active revision's number and document (without users). Raises LookupError where there is none."""
        row = self._first(_CURRENT)
        if row is None:
            raise LookupError("the tenant has no document")
        return row.revision, self._open(revisions.c.document, row, TenantDocument)

    def add(self, document: TenantDocument, *, now: int, fingerprint: bytes) -> int:
        """Store a revision, make it active, return its number. Raises `Refusal` where the tenant was deleted."""
        row = self._first(_COUNT_UP)
        if row is None:
            raise Refusal("unknown_tenant", "There is no such tenant.", reason="The tenant was deleted meanwhile.")
        number: int = row.revision
        self._insert(
            _INSERT,
            revision=number,
            fingerprint=fingerprint,
            document=self._seal(revisions.c.document, document.without_users(), revision=number),
            created_at=now,
        )
        return number

    def fingerprint(self, source: bytes) -> bytes:
        """Return the keyed fingerprint of a document's canonical source."""
        return hmac.digest(self._vault.derive("document fingerprint"), source, "sha256")

    def current_fingerprint(self) -> bytes | None:
        """Return the active revision's fingerprint."""
        row = self._first(_CURRENT)
        return None if row is None else bytes(row.fingerprint)
