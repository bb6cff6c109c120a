"""The answer a wallet did not receive: kept for half a minute, given once more, sealed by what only that wallet has.

The key is derived from the `auth_session` of the accepted follow-up, of which the service keeps a digest only; so
nobody who reads the database reads the answer.
"""

import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.interaction.machine import Status
from app.protocol.digest import digest
from app.records import RepeatableAnswer, Session
from app.storage import TenantStore
from app.tenancy import Tenancy

LIFETIME: Final = 30
"""Seconds an answer can be had again."""

# The key is used for one sealing only: a handle is accepted once.
_NONCE: Final = bytes(12)


def keep(
    tenancy: Tenancy,
    store: TenantStore,
    session: Session,
    answer: Mapping[str, Any],
    *,
    auth_session: str,
    body: bytes,
) -> None:
    """Keep the answer to an accepted follow-up, `body`, which came with the handle `auth_session`."""
    # Without a key nobody can show that it is the one who did not receive it.
    if session.dpop_jkt is None or not tenancy.document.interactive.repeat_lost_answers:
        return
    store.repeatable_answers.keep(
        RepeatableAnswer(
            handle_digest=digest(auth_session),
            session_id=session.session_id,
            body_digest=digest(body),
            sealed=seal(msgspec.json.encode(answer), auth_session=auth_session, session_id=session.session_id),
            expires_at=tenancy.clock.now() + LIFETIME,
        )
    )


def find(
    tenancy: Tenancy, store: TenantStore, *, auth_session: str, body: bytes
) -> tuple[RepeatableAnswer, Session] | None:
    """Return what is kept for the very octets of an accepted follow-up, with its session."""
    kept = store.repeatable_answers.find(digest(auth_session))
    if (
        kept is None
        or kept.expires_at <= tenancy.clock.now()
        or not hmac.compare_digest(kept.body_digest, digest(body))
    ):
        return None
    session = store.sessions.by_id(kept.session_id)
    return None if session is None else (kept, session)


def take(
    tenancy: Tenancy, store: TenantStore, kept: RepeatableAnswer, session: Session, *, auth_session: str
) -> dict[str, Any] | None:
    """Return a kept answer and use it up; None where the session has left it behind, or somebody else was faster.

    Left behind means that the person finished in the browser, or that the session ended.
    """
    opened = unseal(kept.sealed, auth_session=auth_session, session_id=session.session_id)
    answer: dict[str, Any] = msgspec.json.decode(opened) if opened is not None else {}
    if session.status == Status.CODE_ISSUED:
        stands = "code" in answer
    else:
        current = digest(answer.get("auth_session", "")) == session.auth_session_digest
        stands = current and session.expires_at > tenancy.clock.now()
    if not stands or not store.repeatable_answers.take(kept):
        return None
    store.audit.append(tenancy.event("answer_repeated", session.session_id))
    return answer


def seal(answer: bytes, *, auth_session: str, session_id: str) -> bytes:
    """Return an answer so that only whoever presents `auth_session` again can read it."""
    return _cipher(auth_session, session_id).encrypt(_NONCE, answer, None)


def unseal(sealed: bytes, *, auth_session: str, session_id: str) -> bytes | None:
    """Return the answer; None where it was sealed for another handle or altered."""
    try:
        return _cipher(auth_session, session_id).decrypt(_NONCE, sealed, None)
    except InvalidTag:
        return None


def _cipher(auth_session: str, session_id: str) -> AESGCM:
    info = b"repeatable answer\0" + session_id.encode()
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=info).derive(auth_session.encode()))
