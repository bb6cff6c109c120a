"""The dialect `web`: authorization by browser; a pushed authorization request is its initial request.

RFC 9126 §2.2.
"""

from typing import Final

NAME: Final = "web"
REQUEST_URI_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"


def request_uri(handle: str) -> str:
    """Return the `request_uri` of a handle (RFC 9126 §2.2)."""
    return REQUEST_URI_PREFIX + handle


def request_uri_handle(sent: str) -> str | None:
    """Return the handle of a `request_uri`, None where it is not one of ours; nothing is ever fetched (C-06)."""
    return sent.removeprefix(REQUEST_URI_PREFIX) if sent.startswith(REQUEST_URI_PREFIX) else None


def pushed(handle: str, *, expires_in: int) -> dict[str, str | int]:
    """Return the answer to a push (RFC 9126 §2.2)."""
    return {"request_uri": request_uri(handle), "expires_in": expires_in}
