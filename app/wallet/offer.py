"""What to get: a credential offer read from a link or from JSON (OpenID4VCI §4.1), or named by hand."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from app.protocol import strict_json
from app.wallet.addresses import issuer_identifier, split_address
from app.wallet.errors import WalletRefused
from app.wallet.http import Http


class CredentialOffer(Struct, frozen=True):
    """An issuer and what to get from it by the authorization code flow."""

    credential_issuer: str
    configuration_ids: tuple[str, ...]
    issuer_state: str | None = None
    authorization_server: str | None = None


def is_offer(text: str) -> bool:
    """Whether a command's argument is an offer, not an issuer."""
    if text.lstrip().startswith(("{", "openid-credential-offer:")):
        return True
    return any(name in parse_qs(urlsplit(text).query) for name in _PARAMETERS)


def read_offer(text: str, http: Http) -> CredentialOffer:
    """Read an offer: JSON, or a link that carries it by value or by reference.

    Raises `WalletRefused` if it is not one, or offers only another flow.
    """
    if text.lstrip().startswith("{"):
        return _from_json(text)
    parameters = parse_qs(urlsplit(text).query)
    values = [(name, value) for name in _PARAMETERS for value in parameters.get(name, [])]
    # OpenID4VCI §4.1 (OFR-01): by value or by reference, never both.
    if len(values) != 1:
        raise WalletRefused("invalid_offer", "an offer link carries credential_offer or credential_offer_uri, once")
    name, value = values[0]
    if name == "credential_offer":
        return _from_json(value)
    split_address(value, "credential_offer_uri")
    return _from_object(http.send("GET", value, "fetches the credential offer").require(200))


_PARAMETERS = ("credential_offer", "credential_offer_uri")
_CODE_FLOW = "authorization_code"


def _from_json(text: str) -> CredentialOffer:
    try:
        return _from_object(strict_json.parse_object(text))
    except strict_json.Malformed as malformed:
        raise WalletRefused("invalid_offer", f"the credential offer is broken JSON: {malformed}") from None


def _from_object(offer: dict[str, Any]) -> CredentialOffer:
    ids = offer.get("credential_configuration_ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(item, str) for item in ids):
        raise WalletRefused("invalid_offer", "credential_configuration_ids is not a list of names")
    if len(set(ids)) != len(ids):
        raise WalletRefused("invalid_offer", "credential_configuration_ids names something twice")
    grants = offer.get("grants", {})
    if not isinstance(grants, dict) or not isinstance(grants.get(_CODE_FLOW, {}), dict):
        raise WalletRefused("invalid_offer", "grants is not an object of objects")
    # OpenID4VCI §4.1.1: without grants the wallet decides from metadata; with grants it uses one of them.
    if grants and _CODE_FLOW not in grants:
        raise WalletRefused("unsupported_offer", "the offer is for a flow other than the authorization code flow")
    grant = grants.get(_CODE_FLOW, {})
    return CredentialOffer(
        credential_issuer=issuer_identifier(offer.get("credential_issuer"), "credential_issuer of the offer"),
        configuration_ids=tuple(ids),
        issuer_state=_text(grant, "issuer_state"),
        authorization_server=_text(grant, "authorization_server"),
    )


def _text(grant: dict[str, Any], name: str) -> str | None:
    value = grant.get(name)
    if value is not None and not isinstance(value, str):
        raise WalletRefused("invalid_offer", f"{name} of the offer is not a string")
    return value
