"""Browsers on their way through web steps."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from app.adapters.db.repository import TENANT, TenantRepository
from app.adapters.db.tables import browser_flows
from app.records import BrowserFlow

_INSERT: Final = insert(browser_flows).inline()
_BY_COOKIE: Final = select(browser_flows).where(
    browser_flows.c.tenant_id == TENANT, browser_flows.c.cookie_digest == bindparam("of_cookie")
)
_ADVANCE: Final = (
    update(browser_flows)
    .where(
        browser_flows.c.tenant_id == TENANT,
        browser_flows.c.flow_id == bindparam("of_flow"),
        browser_flows.c.step_index == bindparam("judged_step_index"),
    )
    .values(step_index=bindparam("new_step_index"), user_id=bindparam("new_user_id"), results=bindparam("new_results"))
)
_END_ALL: Final = delete(browser_flows).where(
    browser_flows.c.tenant_id == TENANT, browser_flows.c.session_id == bindparam("of_session")
)


class SqlBrowserFlows(TenantRepository):
    """`BrowserFlows` on SQL."""

    def create(self, flow: BrowserFlow) -> None:
        """Store a new flow."""
        self._insert_soon(
            _INSERT,
            flow_id=flow.flow_id,
            session_id=flow.session_id,
            cookie_digest=flow.cookie_digest,
            step_index=flow.step_index,
            user_id=flow.user_id,
            results=self._seal(browser_flows.c.results, flow.results, flow_id=flow.flow_id, step_index=flow.step_index),
            created_at=flow.created_at,
            expires_at=flow.expires_at,
        )

    def by_cookie(self, digest: bytes) -> BrowserFlow | None:
        """Return the flow of a cookie."""
        row = self._first(_BY_COOKIE, of_cookie=digest)
        if row is None:
            return None
        return BrowserFlow(
            flow_id=row.flow_id,
            session_id=row.session_id,
            cookie_digest=row.cookie_digest,
            step_index=row.step_index,
            user_id=row.user_id,
            results=self._open(browser_flows.c.results, row, dict[str, Any]),
            created_at=row.created_at,
            expires_at=row.expires_at,
        )

    def advance(self, flow: BrowserFlow, *, step_index: int, user_id: str | None, results: Mapping[str, Any]) -> bool:
        """Record a finished page, guarded by the step index it was judged with."""
        moved = self._change(
            _ADVANCE,
            of_flow=flow.flow_id,
            judged_step_index=flow.step_index,
            new_step_index=step_index,
            new_user_id=user_id,
            new_results=self._seal(browser_flows.c.results, results, flow_id=flow.flow_id, step_index=step_index),
        )
        return moved == 1

    def end_all(self, session_id: str) -> None:
        """Forget every flow of a session, results included."""
        self._change(_END_ALL, of_session=session_id)
