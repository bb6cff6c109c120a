"""Rows of sessions that are over, as many as are wanted: what a service has behind it after a busy day."""

from typing import Any, Final

from sqlalchemy import Connection, insert, select

from app.adapters.db.tables import sessions, spent_values, tenants
from tests.support.insider import as_insider
from tests.support.server import RunningServer, run_apart

_BATCH: Final = 2000


def store_finished_sessions(server: RunningServer, slug: str, count: int) -> None:
    """Store sessions that ended with a code, each with the proofs it spent; none is expired yet."""
    run_apart(_store(server, slug, count))


async def _store(server: RunningServer, slug: str, count: int) -> None:
    now = server.clock.now()

    def fill(connection: Connection) -> None:
        of_slug = select(tenants.c.tenant_id).where(tenants.c.slug == slug)
        tenant_id = str(connection.execute(of_slug).scalar_one())
        for start in range(0, count, _BATCH):
            numbers = range(start, min(start + _BATCH, count))
            connection.execute(insert(sessions), [_session(tenant_id, number, now) for number in numbers])
            proofs = [_spent(tenant_id, number, part, now) for number in numbers for part in range(4)]
            connection.execute(insert(spent_values), proofs)

    await as_insider(server.settings.database_url, fill)


def _session(tenant_id: str, number: int, now: int) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "session_id": f"{number:032x}",
        "dialect": "iae",
        "client_id": "demo-wallet",
        "redirect_uri": None,
        "scope": "student-card",
        "interaction_types_supported": ["openid4vp_presentation"],
        "code_challenge": "A" * 43,
        "code_challenge_method": "S256",
        "dpop_jkt": "A" * 43,
        "status": "code_issued",
        "plan": b"\0" * 900,
        "step_index": 1,
        "attempts": 0,
        "created_at": now,
        "expires_at": now + 86_400,
        "updated_at": now,
    }


def _spent(tenant_id: str, number: int, part: int, now: int) -> dict[str, Any]:
    digest = (number * 4 + part).to_bytes(8, "big") * 4
    return {"tenant_id": tenant_id, "kind": "dpop_jti", "digest": digest, "expires_at": now + 86_400}
