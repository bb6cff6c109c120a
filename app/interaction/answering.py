"""What a follow-up is, and what each can come to: the next thing that is needed, or an answer nobody can read."""

from typing import Any, Final

from msgspec import Struct

from app.interaction import repetition
from app.interaction.completion import complete
from app.interaction.dialects import iae
from app.interaction.evidence import Evidence
from app.interaction.lookup import session_gone
from app.interaction.needed import Completed, Needed
from app.interaction.next_step import enter
from app.interaction.single_use import spend_proof
from app.protocol.client_auth import AuthenticatedClient
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.records import Session
from app.storage import TenantStore
from app.tenancy import Tenancy

MAX_ATTEMPTS: Final = 5
"""Follow-ups that cannot be read before the session fails."""


class Sent(Struct, frozen=True, kw_only=True):
    """A follow-up with everything that came along."""

    body: bytes
    follow_up: iae.FollowUp
    client: AuthenticatedClient | None
    """None where the request leaves its client to the session."""
    proof: DpopProof | None
    overtaken: bool
    """Another request with the same handle was under way when this one came: it is a race, not a repetition."""


class Answered(Struct, frozen=True):
    """The follow-up was accepted."""

    answer: dict[str, Any]


class Unreadable(Struct, frozen=True):
    """The follow-up was counted as one that cannot be read, or that answers another step."""

    session: Session
    attempts: int
    """How many there have been, this one included."""


def go_on(
    tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session, evidence: Evidence, *, step_index: int
) -> Answered | Refusal:
    """Enter the next step, or complete; keep the answer for a wallet that does not receive it."""
    needed: Needed
    if step_index == len(session.plan.steps):
        code = complete(tenancy, store, session, evidence, delivered="json")
        if isinstance(code, Refusal):
            return code
        needed = Completed(code)
    else:
        waiting, needed = enter(tenancy, session, step_index=step_index, evidence=evidence)
        faster = session_gone("somebody else was faster")
        store.sessions.advance(session, waiting, now=tenancy.clock.now(), otherwise=faster)
    answer = iae.encode(needed, iae.types_of(session.interaction_types_supported))
    repetition.keep(tenancy, store, session, answer, auth_session=sent.follow_up.auth_session, body=sent.body)
    return Answered(answer)


def count_unreadable(store: TenantStore, sent: Sent, session: Session) -> Unreadable:
    """Count a follow-up that cannot be read; it costs nothing else."""
    spend_proof(store, sent.proof)
    attempts = store.sessions.count_attempt(session)
    if attempts is None:
        raise session_gone("somebody else was faster")
    return Unreadable(session, attempts)
