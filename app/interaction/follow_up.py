"""The wallet's answers at the interactive endpoint: a presentation, or its return from the browser.

OpenID4VCI 1.1 §6.1.2, §6.2. Retryable errors change nothing. A parsable presentation is an attempt: it is claimed
before it is judged, and whatever comes of it, its nonce never lives again.
"""

import hmac
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from app.document.model import PresentationStep
from app.interaction import repetition
from app.interaction.completion import complete, fail_session
from app.interaction.dialects import iae
from app.interaction.evidence import Evidence, Presented
from app.interaction.holder import check_same_person
from app.interaction.lookup import current_client, session_gone, session_of_auth_session
from app.interaction.machine import Event, Status, move
from app.interaction.needed import Completed, Needed
from app.interaction.next_step import enter
from app.interaction.single_use import spend_proof
from app.protocol import pkce
from app.protocol.client_auth import AuthenticatedClient
from app.protocol.digest import digest
from app.protocol.dpop import DpopProof
from app.protocol.presentation import Expected, VpToken, WalletError, read_response
from app.protocol.refusal import Refusal
from app.protocol.strict_json import Malformed
from app.records import Session
from app.steps import presentation
from app.steps.presentation import PresentationVerifiers
from app.storage import TenantStore
from app.tenancy import Tenancy

MAX_ATTEMPTS: Final = 5
"""Follow-ups that cannot be read before the session fails."""

_NOT_READABLE: Final = "This is not the answer that was asked for."


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


class Judging(Struct, frozen=True):
    """A presentation was claimed: its session waits for the judgement of nobody else."""

    session: Session
    vp_token: VpToken


class FollowUps:
    """Takes follow-ups, for all tenants."""

    def __init__(self, verifiers: PresentationVerifiers) -> None:
        self._verifiers = verifiers
        self._under_way: Counter[bytes] = Counter()

    async def answer(
        self,
        tenancy: Tenancy,
        form: Mapping[str, str],
        *,
        body: bytes,
        client: AuthenticatedClient | None,
        proof: DpopProof | None,
    ) -> dict[str, Any]:
        """Take one follow-up and return what the wallet is answered. Raises `Refusal`."""
        follow_up = iae.read_follow_up(form)
        handle = digest(follow_up.auth_session)
        sent = Sent(body=body, follow_up=follow_up, client=client, proof=proof, overtaken=self._under_way[handle] > 0)
        self._under_way[handle] += 1
        try:
            outcome = await tenancy.write(lambda store: _claim(tenancy, store, sent))
            if isinstance(outcome, Judging):
                outcome = await self._judge(tenancy, sent, outcome)
        finally:
            self._under_way[handle] -= 1
            if not self._under_way[handle]:
                del self._under_way[handle]
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome.answer

    async def _judge(self, tenancy: Tenancy, sent: Sent, judging: Judging) -> Answered | Refusal:
        """Judge a claimed presentation with no transaction open, then record what came of it."""
        session = judging.session
        step = session.plan.steps[session.step_index]
        assert isinstance(step, PresentationStep)  # noqa: S101  claimed as such
        assert session.presentation_data is not None  # noqa: S101  made when the step was entered
        judged: list[Presented] | Refusal
        try:
            judged = presentation.judge(
                session.plan,
                step,
                judging.vp_token,
                trust=tenancy.document.trust,
                verifiers=self._verifiers,
                expected=Expected(
                    nonce=session.presentation_data.nonce,
                    audiences=(iae.audience(tenancy.issuer),),
                    now=tenancy.clock.now(),
                ),
            )
        except Refusal as refusal:
            judged = refusal
        return await tenancy.write(lambda store: _record(tenancy, store, sent, session, judged))


def _claim(tenancy: Tenancy, store: TenantStore, sent: Sent) -> Answered | Judging | Refusal:
    """Look up, judge, and claim or record; raising leaves nothing, a returned refusal is committed."""
    session = session_of_auth_session(tenancy, store, sent.follow_up.auth_session)
    if session is None:
        return _repeat(tenancy, store, sent)
    _check_sender(tenancy, store, sent, session)
    if session.status == Status.WEB_AUTH_COMPLETED:
        return _return_from_browser(tenancy, store, sent, session)
    if session.status != Status.PENDING:
        raise session_gone("a presentation is being judged")
    if isinstance(session.plan.steps[session.step_index], PresentationStep):
        return _claim_presentation(tenancy, store, sent, session)
    if sent.follow_up.openid4vp_response is not None:
        return _count_unreadable(tenancy, store, sent, session)
    # IA-42: a wallet that is impatient loses nothing.
    raise Refusal("invalid_request", "The person has not finished in the browser.")


def _check_sender(tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session) -> None:
    """Refuse whoever is not the wallet that began the session; nothing changes for the one that is (B-03, IA-06)."""
    if session.dialect != iae.NAME or (sent.client is not None and sent.client.client_id != session.client_id):
        raise session_gone("another client's, or of another dialect")
    current_client(tenancy, store, session)
    if session.dpop_jkt is not None:
        # RFC 9449 §10.1 (D3-13, IA-46): the key of the start, all the way.
        if sent.proof is None:
            raise Refusal("invalid_dpop_proof", "A DPoP proof is required.")
        if not hmac.compare_digest(sent.proof.jkt, session.dpop_jkt):
            raise Refusal("invalid_dpop_proof", "The session is bound to another key.")
    begun_with = {"response_type": "code", "state": session.state, "redirect_uri": session.redirect_uri}
    for name, value in sent.follow_up.repeated.items():
        if value != begun_with[name]:
            raise Refusal("invalid_request", f"{name} differs from the initial request.")


def _claim_presentation(tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session) -> Judging | Refusal:
    step = session.plan.steps[session.step_index]
    assert isinstance(step, PresentationStep)  # noqa: S101  the caller looked
    text = sent.follow_up.openid4vp_response
    # IA-16, B-05: the payload of another step is no answer to this one.
    if text is None or sent.follow_up.code_verifier is not None:
        return _count_unreadable(tenancy, store, sent, session)
    try:
        response = read_response(text, query=session.plan.presentations[step.presentation].dcql_query)
    except Malformed:
        return _count_unreadable(tenancy, store, sent, session)
    spend_proof(store, sent.proof)
    if isinstance(response, WalletError):
        # IA-30, A-19, VPT-06: the interaction is over.
        fail_session(tenancy, store, session, "the wallet did not present")
        return Refusal("access_denied", "Nothing was presented.", reason="the wallet answered with an error")
    claimed = msgspec.structs.replace(session, status=move(session.status, Event.PRESENTATION_ARRIVED))
    # B-02, IA-45, KB-14: one of several at once; from here on the nonce is spent.
    if not store.sessions.advance(session, claimed, now=tenancy.clock.now()):
        raise session_gone("somebody else was faster")
    return Judging(claimed, response)


def _count_unreadable(tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session) -> Refusal:
    spend_proof(store, sent.proof)
    attempts = store.sessions.count_attempt(session)
    if attempts is None:
        raise session_gone("somebody else was faster")
    if attempts >= MAX_ATTEMPTS:
        fail_session(tenancy, store, session, "too many unreadable answers")
    return Refusal("invalid_request", _NOT_READABLE, reason=f"unreadable, attempt {attempts}")


def _return_from_browser(tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session) -> Answered | Refusal:
    """Let a wallet go on that comes back with what only it and the person's browser know (B-07, IA-38)."""
    if sent.follow_up.openid4vp_response is not None:
        return _count_unreadable(tenancy, store, sent, session)
    verifier = sent.follow_up.code_verifier
    # RFC 7636 §4.6; both leave the session as it was.
    if verifier is None or not pkce.is_verifier(verifier):
        raise Refusal("invalid_request", "code_verifier is missing or malformed.")
    if not pkce.verifier_matches(verifier, session.code_challenge):
        raise Refusal("invalid_grant", "code_verifier does not match.")
    spend_proof(store, sent.proof)
    behind = session.plan.web_leg_end(session.step_index)
    return _go_on(tenancy, store, sent, session, session.completed_steps, step_index=behind)


def _record(
    tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session, judged: list[Presented] | Refusal
) -> Answered | Refusal:
    """Record the judgement of a claimed presentation; zero rows mean that the session ended meanwhile."""
    if isinstance(judged, Refusal):
        return _fail(tenancy, store, session, judged)
    evidence = msgspec.structs.replace(session.completed_steps, presented=[*session.completed_steps.presented, *judged])
    user = store.users.by_id(evidence.user_id) if evidence.user_id is not None else None
    try:
        check_same_person(session.plan, evidence, user_claims=user.claims if user else {}, finished=False)
    except Refusal as refusal:
        return _fail(tenancy, store, session, refusal)
    store.audit.append(tenancy.event("presentation_accepted", session.session_id, step=session.step_index))
    return _go_on(tenancy, store, sent, session, evidence, step_index=session.step_index + 1)


def _fail(tenancy: Tenancy, store: TenantStore, session: Session, refusal: Refusal) -> Refusal:
    fail_session(tenancy, store, session, refusal.reason)
    return refusal


def _go_on(
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
        if not store.sessions.advance(session, waiting, now=tenancy.clock.now()):
            raise session_gone("somebody else was faster")
    answer = iae.encode(needed, iae.types_of(session.interaction_types_supported))
    repetition.keep(tenancy, store, session, answer, auth_session=sent.follow_up.auth_session, body=sent.body)
    return Answered(answer)


def _repeat(tenancy: Tenancy, store: TenantStore, sent: Sent) -> Answered:
    """Give a kept answer once more: to the same octets, client and key, with a fresh proof."""
    handle = sent.follow_up.auth_session
    found = repetition.find(tenancy, store, auth_session=handle, body=sent.body)
    if found is None or sent.overtaken:
        raise session_gone("auth_session unknown")
    kept, session = found
    try:
        _check_sender(tenancy, store, sent, session)
    except Refusal as refusal:
        # Nobody learns from a superseded handle whose it was.
        raise session_gone(refusal.reason) from None
    spend_proof(store, sent.proof)
    answer = repetition.take(tenancy, store, kept, session, auth_session=handle)
    if answer is None:
        raise session_gone("answer out of date, or repeated before")
    return Answered(answer)
