"""Commands and jobs are killed around every transaction; run again, they finish what they began."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from app.adapters.db.tables import data_keys, document_revisions, sessions, signing_keys, tenants, users
from app.document.model import TenantDocument
from app.interaction.machine import TERMINAL
from app.jobs.rotate import rotate_data_key
from app.jobs.schedule import JOBS
from app.main import Service
from tests.crashes.stage import Stage, half_done, stuck
from tests.support.campus import person
from tests.support.crashing import CrashingServer, Moment
from tests.support.documents import PID, document
from tests.support.served import query
from tests.support.server import apply_all

pytestmark = pytest.mark.crash

Crashing = tuple[CrashingServer, Stage]

KILLED, FINISHED = -9, 0


async def run_jobs(service: Service) -> None:
    for job in JOBS.values():
        await job.run(service.platform, service.clock, lambda _: None)


async def rotate(service: Service, slug: str) -> None:
    await rotate_data_key(
        service.platform, service.database, service.clock, service.entropy, slug, tell=lambda _: None, batch=2
    )


def held(server: CrashingServer, slug: str) -> Sequence[Any]:
    """Return the revision of a tenant and how many rows of each kind it has."""

    def count(table: Any) -> Any:
        found = select(func.count()).select_from(table).where(table.c.tenant_id == tenants.c.tenant_id)
        return found.scalar_subquery()

    counted = [count(table) for table in (document_revisions, data_keys, signing_keys, users)]
    found = query(server, select(tenants.c.revision, *counted).where(tenants.c.slug == slug))
    return [tuple(row) for row in found]


def two_states(slug: str) -> tuple[TenantDocument, TenantDocument]:
    """Return a new tenant's document, and one that changes it."""
    fewer = {"clients": {"registered": PID["clients"]["registered"][:1]}, "users": PID["users"][:1]}
    return document({"tenant": {"slug": slug}}), document({"tenant": {"slug": slug}, **fewer})


@pytest.mark.parametrize("moment", Moment)
def test_a_tenant_is_there_whole_or_not_at_all(crashing: Crashing, moment: Moment) -> None:
    server, _ = crashing
    slug = f"made-{moment.name.lower()}"
    new, changed = two_states(slug)
    committed = moment is Moment.AFTER
    # The first transaction of a command looks, the second changes.
    for write, wanted, before, after in [
        (1, new, [], []),
        (2, new, [], [(1, 1, 1, 3, 3)]),
        (2, changed, [(1, 1, 1, 3, 3)], [(2, 2, 1, 3, 1)]),
    ]:
        assert server.command(partial(apply_all, documents=[wanted]), write, moment) == KILLED
        assert held(server, slug) == (after if committed else before)
        if after:
            assert server.command(partial(apply_all, documents=[wanted])) == FINISHED
            assert held(server, slug) == after
            assert person(server, "erika", issuer=slug).pid


@pytest.mark.rule("N-14")
@pytest.mark.parametrize("moment", [Moment.INSIDE, Moment.AFTER])
def test_jobs_end_later_what_they_did_not_end(crashing: Crashing, moment: Moment) -> None:
    server, stage = crashing
    unfinished = select(sessions.c.session_id).where(sessions.c.status.not_in(TERMINAL))
    # Behind each job's work comes a transaction that finds nothing left.
    for write in (1, 3):
        stage.push()()
        stage.first_page()()
        stage.last_page_of_a_leg()()
        # Claimed, and never judged to an end.
        assert server.dies_in(stage.last_presentation(), 2, Moment.BEFORE)
        assert len(query(server, unfinished)) == 4
        later = server.clock.now() + 3600
        assert server.command(run_jobs, write, moment, now=later) == KILLED
        assert half_done(server) == []
        assert server.command(run_jobs, now=later) == FINISHED
        assert query(server, unfinished) == []
    assert stuck(server) == {}


@pytest.mark.parametrize("moment", Moment)
def test_a_rotation_goes_on_where_it_was_killed(crashing: Crashing, moment: Moment) -> None:
    server, stage = crashing
    wallet = stage.wallet()
    token = wallet.interactive_token(stage.erika.pid)
    for write in range(1, 5):
        assert server.command(partial(rotate, slug="university"), write, moment) == KILLED
        stage.issue()
    assert server.command(partial(rotate, slug="university")) == FINISHED
    older = server.store(lambda store: store.sealed_values.under_older_keys(limit=1), "university")
    assert older == []
    assert wallet.derived(token).status_code == 200
