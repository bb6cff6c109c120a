"""The dialect `web`: authorization by browser; a pushed authorization request is its initial request.

RFC 9126 §2.2, RFC 6749 §4.1.2, RFC 9207 §2.
"""

from typing import Final
from urllib.parse import urlencode

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


def granted(redirect_uri: str, *, code: str, state: str | None, issuer: str) -> str:
    """Return where the browser goes with the code (RFC 6749 §4.1.2, RFC 9207 §2)."""
    return _redirect(redirect_uri, code=code, state=state, iss=issuer)


def refused(redirect_uri: str, *, error: str, description: str, state: str | None, issuer: str) -> str:
    """Return where the browser goes with an error (RFC 6749 §4.1.2.1, RFC 9207 §2)."""
    return _redirect(redirect_uri, error=error, error_description=description or None, state=state, iss=issuer)


def _redirect(redirect_uri: str, **parameters: str | None) -> str:
    # RFC 6749 §3.1.2 (AZ-07): a query the redirect URI already has is retained.
    separator = "&" if "?" in redirect_uri else "?"
    return redirect_uri + separator + urlencode({k: v for k, v in parameters.items() if v is not None})
