"""What the interactive endpoint answers (OpenID4VCI 1.1 §6.2), judged before the wallet acts on it. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from app.protocol import dcql
from app.protocol.strict_json import Malformed
from app.wallet.errors import WalletRefused

Dialect = Literal["urn", "bare"]
"""How interaction types are spelled: as URNs, or as the earlier drafts did."""


class InteractionTypes(Struct, frozen=True):
    """The interactions this wallet is capable of, as one dialect spells them."""

    presentation: str
    web: str


TYPES: Final[Mapping[Dialect, InteractionTypes]] = {
    "urn": InteractionTypes("urn:openid:dcp:iae:openid4vp_presentation", "urn:openid:dcp:iae:redirect_to_web"),
    "bare": InteractionTypes("openid4vp_presentation", "redirect_to_web"),
}

_NONCE = re.compile(r"[A-Za-z0-9._~-]{1,512}")
# Each belongs to an answer that goes elsewhere or is more than presentations. A `client_id` is not among them:
# OpenID4VP §A.2 has it ignored in an unsigned request.
_BEYOND: Final = ("response_uri", "redirect_uri", "request_uri", "scope", "transaction_data")


class PresentationRequest(Struct, frozen=True):
    """An unsigned OpenID4VP request (OpenID4VP §A.2) to be answered at the endpoint it came from."""

    query: dcql.Query
    nonce: str


class PresentationWanted(Struct, frozen=True):
    """The server wants to be shown credentials."""

    auth_session: str
    request: PresentationRequest


class WebWanted(Struct, frozen=True):
    """The server wants to see the person in a browser."""

    auth_session: str
    request_uri: str


class Finished(Struct, frozen=True):
    """The server wants nothing more."""

    code: str


class Unfinished(Struct, frozen=True):
    """The browser is done; the server wants the wallet back at the endpoint."""

    auth_session: str


def read_answer(
    answer: Mapping[str, Any], *, types: InteractionTypes, origin: str
) -> PresentationWanted | WebWanted | Finished:
    """Judge an answer of the endpoint at this origin to a wallet that told it these types. Raises `WalletRefused`."""
    match answer.get("status"):
        case "ok":
            return Finished(text(answer, "code"))
        case "require_interaction":
            wanted, auth_session = text(answer, "type"), text(answer, "auth_session")
        case _:
            raise WalletRefused("unusable_answer", "the answer has no status this wallet knows")
    if wanted == types.presentation:
        request = read_presentation_request(answer.get("openid4vp_request"), origin=origin)
        return PresentationWanted(auth_session, request)
    if wanted == types.web:
        return WebWanted(auth_session, text(answer, "request_uri"))
    # §6.2.1: what the wallet did not say it is capable of may not be asked, and an unknown type ends it all.
    raise WalletRefused("unknown_interaction", f"the server wants an interaction that was not offered: {wanted}")


def read_presentation_request(value: object, *, origin: str) -> PresentationRequest:
    """Judge an `openid4vp_request` (OpenID4VCI 1.1 §6.2.1.1). Raises `WalletRefused`; nothing is presented then."""
    if not isinstance(value, dict):
        raise _unusable("openid4vp_request is not an object")
    if "request" in value:
        raise _unsupported("it is signed")
    if beyond := [name for name in _BEYOND if name in value]:
        raise _unsupported(f"it has {', '.join(beyond)}")
    if value.get("response_type") != "vp_token":
        raise _unsupported("its response_type is not vp_token")
    # Only this mode brings the answer to the endpoint that was asked, and not encrypted.
    if value.get("response_mode") != "iae_post":
        raise _unsupported("its response_mode is not iae_post")
    # §6.2.1.1 step 1: made for another endpoint, it was forwarded.
    if "expected_origins" in value and value["expected_origins"] != [origin]:
        raise _unusable("expected_origins is not the server that was asked")
    nonce = value.get("nonce")
    # OpenID4VP §5.2
    if not isinstance(nonce, str) or not _NONCE.fullmatch(nonce):
        raise _unusable("nonce is missing or not of URL-safe characters")
    try:
        return PresentationRequest(dcql.read_query(value.get("dcql_query")), nonce)
    except Malformed as malformed:
        raise _unusable(str(malformed)) from None


def text(answer: Mapping[str, Any], name: str) -> str:
    """Return a member of an answer that must be a string and not empty."""
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise WalletRefused("unusable_answer", f"the answer has no {name}")
    return value


def _unusable(why: str) -> WalletRefused:
    return WalletRefused("unusable_request", f"the presentation request cannot be right: {why}")


def _unsupported(why: str) -> WalletRefused:
    return WalletRefused("unsupported_request", f"this wallet does not answer such a presentation request: {why}")
