"""Where a browser goes when its leg is over: back to the wallet, with a code, a handle to go on by, or an error. Pure.

RFC 6749 §4.1.2, RFC 9207 §2, OpenID4VCI 1.1 §6.2.1.2; the same in every dialect.
"""

from urllib.parse import urlencode


def location(redirect_uri: str, **parameters: str | None) -> str:
    """Return a redirect URI with the parameters that are not None."""
    # RFC 6749 §3.1.2 (AZ-07): a query the redirect URI already has is retained.
    separator = "&" if "?" in redirect_uri else "?"
    return redirect_uri + separator + urlencode({k: v for k, v in parameters.items() if v is not None})
