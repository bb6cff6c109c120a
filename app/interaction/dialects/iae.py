"""The dialect `iae`: the Interactive Authorization Endpoint of the OpenID4VCI 1.1 drafts, in both its spellings.

The drafts of before 2026-03-12 name interaction types by bare words, those after it by URNs; everything else is equal.
One encoder, two token tables.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from app.interaction.dialects import web
from app.interaction.needed import Completed, NeedBrowser, Needed, NeedPresentation
from app.protocol.presentation import request_object
from app.protocol.refusal import Refusal

NAME: Final = "iae"
RESPONSE_MODE: Final = "iae_post"

Interaction = Literal["presentation", "browser"]

_BARE: Final[Mapping[Interaction, str]] = {
    "presentation": "openid4vp_presentation",
    "browser": "redirect_to_web",
}
_URN_PREFIX: Final = "urn:openid:dcp:iae:"
_URN: Final[Mapping[Interaction, str]] = {kind: _URN_PREFIX + token for kind, token in _BARE.items()}


class InteractionTypes(Struct, frozen=True):
    """Which interactions a wallet supports, and by which of the two tables it names them."""

    supported: frozenset[Interaction]
    urn: bool

    def token(self, kind: Interaction) -> str:
        """Return what the wallet calls an interaction."""
        return (_URN if self.urn else _BARE)[kind]

    def as_listed(self) -> list[str]:
        """Return the tokens, for storage."""
        return sorted(self.token(kind) for kind in self.supported)


def read_interaction_types(listed: str | None) -> InteractionTypes:
    """Read `interaction_types_supported` (OpenID4VCI 1.1 §6.1.1). Raises `Refusal("invalid_request")`."""
    # IA-01, IA-04: a comma-separated list in any order; what is not known is not counted.
    tokens = [token.strip() for token in (listed or "").split(",") if token.strip()]
    if not tokens:
        raise Refusal("invalid_request", "interaction_types_supported is missing.")
    return types_of(tokens)


def types_of(tokens: Sequence[str]) -> InteractionTypes:
    """Return what a list of tokens says."""
    # D1-08, D2-02: any URN makes the whole session one of URNs, and then only those count.
    urn = any(token.startswith(_URN_PREFIX) for token in tokens)
    table = _URN if urn else _BARE
    return InteractionTypes(frozenset(kind for kind, token in table.items() if token in tokens), urn)


def check_supported(types: InteractionTypes, *, needed: Sequence[Interaction]) -> None:
    """Refuse a wallet that lacks an interaction the plan needs (OpenID4VCI 1.1 §6.2.3, IA-02, IA-03, REQ-16)."""
    missing = [types.token(kind) for kind in dict.fromkeys(needed) if kind not in types.supported]
    if missing:
        raise Refusal("missing_interaction_type", f"This needs {' and '.join(missing)}.")


def encode(needed: Needed, types: InteractionTypes) -> dict[str, Any]:
    """Return the answer of the endpoint (OpenID4VCI 1.1 §6.2.1, §6.2.2; D1-02, D1-03, IA-10)."""
    match needed:
        case NeedPresentation():
            request = request_object(needed.query, nonce=needed.nonce, response_mode=RESPONSE_MODE)
            return _require("presentation", types, needed.auth_session, openid4vp_request=request)
        case NeedBrowser():
            request_uri = web.request_uri(needed.request_uri_handle)
            return _require(
                "browser", types, needed.auth_session, request_uri=request_uri, expires_in=needed.expires_in
            )
        case Completed():
            return {"status": "ok", "code": needed.code}


def _require(kind: Interaction, types: InteractionTypes, auth_session: str, **members: Any) -> dict[str, Any]:
    return {"status": "require_interaction", "type": types.token(kind), "auth_session": auth_session, **members}


_ONLY_AT_THE_START: Final = (
    "scope",
    "authorization_details",
    "code_challenge",
    "code_challenge_method",
    "interaction_types_supported",
    "issuer_state",
    "request",
    "request_uri",
)
"""Parameters that would change what was asked for."""

_REPEATABLE: Final = ("response_type", "state", "redirect_uri")
"""Parameters of the start that a follow-up may repeat as they were; `client_id` is judged with the client."""


class FollowUp(Struct, frozen=True):
    """A follow-up request as it was sent."""

    auth_session: str
    openid4vp_response: str | None
    code_verifier: str | None
    repeated: dict[str, str]
    """Parameters of the start that were sent again."""


def read_follow_up(form: Mapping[str, str]) -> FollowUp:
    """Read a follow-up (OpenID4VCI 1.1 §6.1.2). Raises `Refusal("invalid_request")`."""
    # VPT-07, B-09, B-04: what was asked for is fixed.
    for name in _ONLY_AT_THE_START:
        if name in form:
            raise Refusal("invalid_request", f"{name} cannot be changed by a follow-up.")
    return FollowUp(
        auth_session=form["auth_session"],
        openid4vp_response=form.get("openid4vp_response"),
        code_verifier=form.get("code_verifier"),
        repeated={name: form[name] for name in _REPEATABLE if name in form},
    )


def audience(issuer: str) -> str:
    """Return the audience of presentations (OpenID4VCI 1.1 A.3.5, VPB-01): `iae:` and the endpoint's origin."""
    parts = urlsplit(issuer)
    return f"iae:{parts.scheme}://{parts.netloc}"
