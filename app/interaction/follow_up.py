"""The wallet's answers at the interactive endpoint: a presentation, or its return from the browser.

OpenID4VCI 1.1 §6.1.2, §6.2. Errors that can be mended change nothing. What a presentation comes to is in `presenting`.
"""

import hmac
from collections import Counter
from collections.abc import Mapping
from typing import Any

from app.document.model import PresentationStep
from app.interaction import presenting, repetition
from app.interaction.answering import MAX_ATTEMPTS, Answered, Sent, Unreadable, count_unreadable, go_on
from app.interaction.completion import fail_session
from app.interaction.dialects import iae
from app.interaction.lookup import current_client, session_gone, session_of_auth_session
from app.interaction.machine import Status
from app.interaction.presented import PresentationVerifiers
from app.interaction.presenting import Judging
from app.interaction.single_use import spend_proof
from app.protocol import pkce
from app.protocol.client_auth import AuthenticatedClient
from app.protocol.digest import digest
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.records import Session
from app.storage import TenantStore
from app.tenancy import Tenancy


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
            outcome = await self._take(tenancy, sent)
        finally:
            self._under_way[handle] -= 1
            if not self._under_way[handle]:
                del self._under_way[handle]
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome.answer

    async def _take(self, tenancy: Tenancy, sent: Sent) -> Answered | Refusal:
        match await tenancy.write(lambda store: _claim(tenancy, store, sent)):
            case Judging() as judging:
                return await presenting.judge_and_record(tenancy, sent, judging, self._verifiers)
            case Unreadable(session=session, attempts=attempts):
                if attempts >= MAX_ATTEMPTS:
                    # Apart from the counting, which locks the session first: whoever ends one begins with its flows.
                    await tenancy.write(lambda store: fail_session(tenancy, store, session, "unreadable answers"))
                return Refusal(
                    "invalid_request", "This is not the answer that was asked for.", reason=f"unreadable: {attempts}"
                )
            case outcome:
                return outcome


def _claim(tenancy: Tenancy, store: TenantStore, sent: Sent) -> Answered | Judging | Unreadable | Refusal:
    """Look up, judge, and claim or record; raising leaves nothing, a returned refusal is committed."""
    session = session_of_auth_session(tenancy, store, sent.follow_up.auth_session)
    if session is None:
        return _repeat(tenancy, store, sent)
    _check_sender(tenancy, store, sent, session)
    if session.attempts >= MAX_ATTEMPTS:
        raise session_gone("too many unreadable answers")
    if session.status == Status.WEB_AUTH_COMPLETED:
        return _return_from_browser(tenancy, store, sent, session)
    if session.status != Status.PENDING:
        raise session_gone("a presentation is being judged")
    step = session.plan.steps[session.step_index]
    if isinstance(step, PresentationStep):
        return presenting.claim(tenancy, store, sent, session, step)
    if sent.follow_up.openid4vp_response is not None:
        return count_unreadable(store, sent, session)
    # IA-42: a wallet that is impatient loses nothing.
    raise Refusal("invalid_request", "The person has not finished in the browser.")


def _check_sender(tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session) -> None:
    """Refuse whoever is not the wallet that began the session; nothing changes for the one that is (B-03, IA-06)."""
    if session.dialect != iae.NAME or (sent.client is not None and sent.client.client_id != session.client_id):
        raise session_gone("another client's, or of another dialect")
    current_client(tenancy, session)
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


def _return_from_browser(
    tenancy: Tenancy, store: TenantStore, sent: Sent, session: Session
) -> Answered | Unreadable | Refusal:
    """Let a wallet go on that comes back with what only it and the person's browser know (B-07, IA-38)."""
    if sent.follow_up.openid4vp_response is not None:
        return count_unreadable(store, sent, session)
    verifier = sent.follow_up.code_verifier
    # RFC 7636 §4.6; both leave the session as it was.
    if verifier is None or not pkce.is_verifier(verifier):
        raise Refusal("invalid_request", "code_verifier is missing or malformed.")
    if not pkce.verifier_matches(verifier, session.code_challenge):
        raise Refusal("invalid_grant", "code_verifier does not match.")
    spend_proof(store, sent.proof)
    behind = session.plan.web_leg_end(session.step_index)
    return go_on(tenancy, store, sent, session, session.completed_steps, step_index=behind)


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
