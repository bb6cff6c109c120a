"""Credential offers by value for the authorization code flow (OpenID4VCI §4.1)."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

SCHEME: Final = "openid-credential-offer://"
"""Where no wallet's own address is known (OpenID4VCI §12.1.1, OFR-15)."""

ISSUER_STATE_LIFETIME: Final = 7 * 24 * 3600
"""How long an offer may be taken up, in seconds."""


def credential_offer(issuer: str, configuration_ids: Sequence[str], *, issuer_state: str) -> dict[str, Any]:
    """Return a credential offer object; it holds identifiers only (OFR-14)."""
    return {
        "credential_issuer": issuer,
        "credential_configuration_ids": list(dict.fromkeys(configuration_ids)),
        "grants": {"authorization_code": {"issuer_state": issuer_state}},
    }


def offer_link(offer: dict[str, Any]) -> str:
    """Return the link that hands the offer to a wallet (OpenID4VCI §4.1.2)."""
    return f"{SCHEME}?credential_offer={quote(msgspec.json.encode(offer).decode(), safe='')}"
