"""Authorization details of type `openid_credential`: in authorization requests and in token requests.

RFC 9396 §5 and §6, OpenID4VCI §5.1.1 and §6.1.1.
"""

from collections.abc import Collection
from typing import Any

from app.protocol import strict_json
from app.protocol.refusal import Refusal


def read_authorization_details(
    sent: str | None, *, configuration_ids: Collection[str], issuer: str
) -> list[dict[str, Any]] | None:
    """Return the entries of the parameter `authorization_details`; None where it was not sent.

    `configuration_ids` are the credentials that may be asked for: those the issuer has, or those a code was granted.
    Raises `Refusal("invalid_authorization_details")` unless every entry is in order (AZ-18..AZ-21, TAD-04, TAD-09).
    """
    if sent is None:
        return None
    try:
        entries = strict_json.parse(sent)
    except strict_json.Malformed:
        raise _refused("authorization_details is malformed.") from None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise _refused("authorization_details must be a non-empty array of objects.")
    seen: set[str] = set()
    for entry in entries:
        configuration_id = _check_entry(entry, configuration_ids, issuer)
        if configuration_id in seen:
            raise _refused("A credential is asked for twice.")
        seen.add(configuration_id)
    return entries


def _check_entry(entry: dict[str, Any], configuration_ids: Collection[str], issuer: str) -> str:
    # Unknown members of an openid_credential entry are never an error (OpenID4VCI §5.1.1, AZ-19, GAP-13).
    if entry.get("type") != "openid_credential":
        raise _refused("Only type openid_credential is known.")
    configuration_id = entry.get("credential_configuration_id")
    if not isinstance(configuration_id, str) or configuration_id not in configuration_ids:
        raise _refused("credential_configuration_id is missing or cannot be asked for.")
    locations = entry.get("locations", [issuer])
    if not isinstance(locations, list) or issuer not in locations:
        raise _refused("locations must contain this issuer.")
    if "claims" in entry:
        _check_claims(entry["claims"])
    return configuration_id


def _check_claims(claims: Any) -> None:
    """OpenID4VCI §5.1.1, Appendix B.3 (AZ-21): claim descriptions with valid, distinct paths."""
    problem = _refused("claims must be a non-empty array of distinct claim paths.")
    if not isinstance(claims, list) or not claims:
        raise problem
    paths: set[tuple[str | int | None, ...]] = set()
    for claim in claims:
        path = claim.get("path") if isinstance(claim, dict) else None
        if not isinstance(path, list) or not path or not all(map(_is_path_element, path)):
            raise problem
        if tuple(path) in paths or not isinstance(claim.get("mandatory", False), bool):
            raise problem
        paths.add(tuple(path))


def _is_path_element(element: Any) -> bool:
    # Appendix C: a string, a non-negative integer, or null.
    return (
        element is None
        or isinstance(element, str)
        or (isinstance(element, int) and not isinstance(element, bool) and element >= 0)
    )


def _refused(public: str) -> Refusal:
    return Refusal("invalid_authorization_details", public)
