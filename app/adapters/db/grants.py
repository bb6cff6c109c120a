"""Grants, and the access tokens and issuances that hang on them."""

from collections.abc import Callable
from typing import Final

import msgspec
from sqlalchemy import bindparam, case, func, insert, null, select, update

from app.adapters.db.prepared import Row
from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import access_tokens, grants, issuances
from app.protocol.refusal import Refusal
from app.records import AccessToken, Authorization, Grant, Issuance

_INSERT: Final = insert(grants).inline()
_BY_ID: Final = select(grants).where(grants.c.tenant_id == TENANT, grants.c.grant_id == bindparam("of_grant"))
_REVOKE: Final = (
    update(grants)
    .where(
        grants.c.tenant_id == TENANT,
        grants.c.grant_id == bindparam("of_grant"),
        grants.c.revoked_at.is_(None),
    )
    .values({"revoked_at": bindparam("now"), "authorization": null()})
)
_TAKE: Final = (
    update(grants)
    .where(
        grants.c.tenant_id == TENANT,
        grants.c.grant_id == bindparam("of_grant"),
        grants.c.credentials_issued < grants.c.credentials_allowed,
        grants.c.expires_at > bindparam("now"),
        grants.c.revoked_at.is_(None),
    )
    .values(
        {
            "credentials_issued": grants.c.credentials_issued + 1,
            # The last credential is being issued from what was read before: nothing can use the claims after it.
            "authorization": case(
                (grants.c.credentials_issued + 1 < grants.c.credentials_allowed, grants.c.authorization), else_=null()
            ),
        }
    )
)
_INSERT_ISSUANCE: Final = insert(issuances).inline()
_ISSUED: Final = select(func.count().label("issued")).where(
    issuances.c.tenant_id == TENANT,
    issuances.c.grant_id == bindparam("of_grant"),
    issuances.c.configuration_id == bindparam("of_configuration"),
)
_INSERT_TOKEN: Final = insert(access_tokens).inline()
# No join: without statistics PostgreSQL may go through all grants of the tenant and look for the token of each.
_GRANT_OF_TOKEN: Final = (
    select(access_tokens.c.grant_id)
    .where(access_tokens.c.tenant_id == TENANT, access_tokens.c.token_id == bindparam("of_token"))
    .scalar_subquery()
)
_BY_ACCESS_TOKEN: Final = select(grants).where(grants.c.tenant_id == TENANT, grants.c.grant_id == _GRANT_OF_TOKEN)


class SqlGrants(TenantRepository):
    """`Grants` on SQL. Claims are erased in the statement after which the grant can issue no more."""

    def create(self, grant: Grant) -> None:
        """Store a new grant."""
        values = msgspec.structs.asdict(grant)
        values["authorization"] = self._seal(grants.c.authorization, grant.authorization, grant_id=grant.grant_id)
        self._insert_soon(_INSERT, **values)

    def by_id(self, grant_id: str) -> Grant | None:
        """Return a grant, revoked ones included."""
        return self._grant(self._first(_BY_ID, of_grant=grant_id))

    def by_access_token(self, token_id: str) -> Grant | None:
        """Return the grant of an access token, revoked ones included."""
        return self._grant(self._first(_BY_ACCESS_TOKEN, of_token=token_id))

    def revoke(self, grant_id: str, *, now: int) -> bool:
        """Revoke a grant and erase its claims; False where it was revoked before."""
        return self._change(_REVOKE, of_grant=grant_id, now=now) == 1

    def take_credential(self, grant: Grant, *, now: int, otherwise: Callable[[], Refusal]) -> None:
        """Count one credential, guarded by quota, expiry and revocation; with the last one the claims are erased."""
        self._change_soon(_TAKE, otherwise, of_grant=grant.grant_id, now=now)

    def record_issuance(self, issuance: Issuance) -> None:
        """Note that a credential was issued."""
        self._insert_soon(_INSERT_ISSUANCE, **msgspec.structs.asdict(issuance))

    def issued(self, grant_id: str, configuration_id: str) -> int:
        """Return how many credentials of a configuration a grant has issued."""
        row = self._first(_ISSUED, of_grant=grant_id, of_configuration=configuration_id)
        return 0 if row is None else int(row.issued)

    def create_access_token(self, token: AccessToken) -> None:
        """Note that an access token was issued."""
        self._insert_soon(_INSERT_TOKEN, **msgspec.structs.asdict(token))

    def _grant(self, row: Row | None) -> Grant | None:
        if row is None:
            return None
        return Grant(
            grant_id=row.grant_id,
            client_id=row.client_id,
            user_id=row.user_id,
            dpop_jkt=row.dpop_jkt,
            authorization=self._open_or_none(grants.c.authorization, row, Authorization),
            credentials_issued=row.credentials_issued,
            credentials_allowed=row.credentials_allowed,
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )
