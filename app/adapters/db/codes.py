"""Authorization codes."""

from typing import Final

import msgspec
from sqlalchemy import bindparam, insert, null, select, update

from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import authorization_codes as codes
from app.records import Authorization, AuthorizationCode

_INSERT: Final = insert(codes).inline()
_BY_DIGEST: Final = select(codes).where(codes.c.tenant_id == TENANT, codes.c.code_digest == bindparam("of_digest"))
_SPEND: Final = (
    update(codes)
    .where(
        codes.c.tenant_id == TENANT,
        codes.c.code_digest == bindparam("of_digest"),
        codes.c.used_at.is_(None),
        codes.c.expires_at > bindparam("now"),
        codes.c.client_id == bindparam("judged_client_id"),
        codes.c.dpop_jkt.is_not_distinct_from(bindparam("judged_dpop_jkt")),
    )
    .values({"used_at": bindparam("now"), "grant_id": bindparam("new_grant_id"), "authorization": null()})
)


class SqlAuthorizationCodes(TenantRepository):
    """`AuthorizationCodes` on SQL."""

    def create(self, code: AuthorizationCode) -> None:
        """Store a new code."""
        values = msgspec.structs.asdict(code)
        values["authorization"] = self._seal(codes.c.authorization, code.authorization, code_id=code.code_id)
        self._insert_soon(_INSERT, **values)

    def by_digest(self, digest: bytes) -> AuthorizationCode | None:
        """Return a code, used and expired ones included."""
        row = self._first(_BY_DIGEST, of_digest=digest)
        if row is None:
            return None
        return AuthorizationCode(
            code_digest=row.code_digest,
            code_id=row.code_id,
            session_id=row.session_id,
            client_id=row.client_id,
            redirect_uri=row.redirect_uri,
            delivered=row.delivered,
            scope=row.scope,
            code_challenge=row.code_challenge,
            code_challenge_method=row.code_challenge_method,
            dpop_jkt=row.dpop_jkt,
            user_id=row.user_id,
            authorization=self._open_or_none(codes.c.authorization, row, Authorization),
            issued_at=row.issued_at,
            expires_at=row.expires_at,
            used_at=row.used_at,
            grant_id=row.grant_id,
            diagnostics=row.diagnostics,
        )

    def spend(self, code: AuthorizationCode, *, grant_id: str, now: int, otherwise: Exception) -> None:
        """Use a code up: guarded by unused, unexpired, client, and DPoP key; erases its authorization."""
        self._change_soon(
            _SPEND,
            lambda: otherwise,
            of_digest=code.code_digest,
            now=now,
            judged_client_id=code.client_id,
            judged_dpop_jkt=code.dpop_jkt,
            new_grant_id=grant_id,
        )
