"""A presentation on its way: claimed, judged, recorded (OpenID4VCI 1.1 §6.2.1.1).

The one answer that is spent before it is judged. Claim and record are transactions of their own; in between, everything
is verified with none open.
"""

import msgspec
from msgspec import Struct

from app.document.model import PresentationStep
from app.interaction import presented
from app.interaction.answering import Answered, Sent, Unreadable, count_unreadable, go_on
from app.interaction.completion import fail_session
from app.interaction.dialects import iae
from app.interaction.evidence import Presented
from app.interaction.holder import check_same_person
from app.interaction.lookup import session_gone
from app.interaction.machine import Event, move
from app.interaction.presented import PresentationVerifiers
from app.interaction.single_use import spend_proof
from app.protocol.presentation import Expected, VpToken, WalletError, read_response
from app.protocol.refusal import Refusal
from app.protocol.strict_json import Malformed
from app.records import Session
from app.storage import TenantStore
from app.tenancy import Tenancy


class Judging(Struct, frozen=True):
    """A presentation was claimed: its session waits for the judgement of nobody else."""

    session: Session
    step: PresentationStep
    nonce: str
    vp_token: VpToken


def claim(
    tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session, step: PresentationStep
) -> Judging | Unreadable | Refusal:
    """Take a presentation for judging: from here on its nonce is spent. A refusal that is returned was recorded."""
    text = sent.follow_up.openid4vp_response
    # IA-16, B-05: the payload of another step is no answer to this one.
    if text is None or sent.follow_up.code_verifier is not None:
        return count_unreadable(store, sent, session)
    try:
        response = read_response(text, query=session.plan.presentations[step.presentation].dcql_query)
    except Malformed:
        return count_unreadable(store, sent, session)
    spend_proof(store, sent.proof)
    if isinstance(response, WalletError):
        # IA-30, A-19, VPT-06: the interaction is over.
        fail_session(tenancy, store, session, "the wallet did not present")
        return Refusal("access_denied", "Nothing was presented.", reason="the wallet answered with an error")
    claimed = msgspec.structs.replace(session, status=move(session.status, Event.PRESENTATION_ARRIVED))
    # B-02, IA-45, KB-14: one of several at once.
    faster = session_gone("somebody else was faster")
    store.sessions.advance(session, claimed, now=tenancy.clock.now(), otherwise=faster)
    assert session.presentation_data is not None  # noqa: S101  made when the step was entered
    return Judging(claimed, step, session.presentation_data.nonce, response)


async def judge_and_record(
    tenancy: Tenancy, sent: Sent, judging: Judging, verifiers: PresentationVerifiers
) -> Answered | Refusal:
    """Judge a claimed presentation with no transaction open, then record what came of it."""
    session = judging.session
    judged: list[Presented] | Refusal
    try:
        judged = presented.judge(
            session.plan,
            judging.step,
            judging.vp_token,
            document=tenancy.document,
            verifiers=verifiers,
            expected=Expected(nonce=judging.nonce, audiences=(iae.audience(tenancy.issuer),), now=tenancy.clock.now()),
        )
    except Refusal as refusal:
        judged = refusal
    except Exception:
        # What nobody foresaw is a fault of ours, and still the end of this nonce: nothing is left half judged.
        await tenancy.write(lambda store: fail_session(tenancy, store, session, "judgement broke off"))
        raise
    return await tenancy.write(lambda store: _record(tenancy, store, sent, session, judged))


def _record(
    tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session, judged: list[Presented] | Refusal
) -> Answered | Refusal:
    """Record the judgement of a claimed presentation; zero rows mean that the session ended meanwhile."""
    if isinstance(judged, Refusal):
        return _fail(tenancy, store, session, judged)
    before = session.completed_steps
    evidence = msgspec.structs.replace(before, presented=[*before.presented, *judged])
    user = store.users.by_id(evidence.user_id) if evidence.user_id is not None else None
    try:
        check_same_person(session.plan, evidence, user_claims=user.claims if user else {}, finished=False)
    except Refusal as refusal:
        return _fail(tenancy, store, session, refusal)
    store.audit.append(tenancy.event("presentation_accepted", session.session_id, step=session.step_index))
    return go_on(tenancy, store, sent, session, evidence, step_index=session.step_index + 1)


def _fail(tenancy: Tenancy, store: TenantStore, session: Session, refusal: Refusal) -> Refusal:
    fail_session(tenancy, store, session, refusal.reason)
    return refusal
