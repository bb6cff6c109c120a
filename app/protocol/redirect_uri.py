"""Redirect URIs: which may be listed, and whether a sent one is on the list (RFC 9700 §2.1, RFC 8252 §7.3)."""

import re
from collections.abc import Sequence
from typing import Final

_LOOPBACK: Final = re.compile(
    r"http://(?P<host>localhost|127\.0\.0\.1|\[::1\])(?::(?P<port>[1-9][0-9]{0,4}))?(?P<rest>(?:[/?].*)?)"
)
"""An http redirect URI of a native app (RFC 8252 §7.3); `rest` is path and query."""

DNS_NAME: Final = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""A host name as a pattern: lower case, and not an address in any notation (its last label begins with a letter)."""

_MAX_LENGTH: Final = 2000
_NOT_IN_A_URI: Final = re.compile(r'[^\x21-\x7e]|["<>\\^`{|}]|%(?![0-9A-Fa-f]{2})')
_SCHEME: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*)")
_HTTPS: Final = re.compile(r"//(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[1-9][0-9]{0,4}))?(?:[/?].*)?")
_DOT_SEGMENT: Final = re.compile(r"/(?:\.|%2e){1,2}(?:/|\?|$)", re.IGNORECASE)


def check_registered(uri: str, *, allow_private_use: bool) -> str | None:
    """Return what is wrong with a redirect URI that a tenant lists, or None.

    Accepted: https with a DNS name; http on loopback; private-use schemes where the tenant allows them.
    """
    if not uri or len(uri) > _MAX_LENGTH:
        return f"A redirect URI has 1 to {_MAX_LENGTH} characters."
    if _NOT_IN_A_URI.search(uri):
        return "The redirect URI holds a character that no URI can hold; percent-encode it."
    # RFC 6749 §3.1.2: "The endpoint URI MUST NOT include a fragment component."
    if "#" in uri:
        return "A redirect URI has no fragment (#…)."
    # RFC 9700 §4.1.3 (C-01): compared as strings, patterns have no meaning.
    if "*" in uri:
        return "A redirect URI has no wildcard (*); list every one."
    if _DOT_SEGMENT.search(uri):
        return "A redirect URI has no dot segments (/./ or /../)."
    if (parts := _SCHEME.fullmatch(uri)) is None:
        return "A redirect URI is absolute: it begins with https://."
    scheme, rest = parts["scheme"], parts["rest"]
    if scheme != scheme.lower():
        return "Write the scheme in lower case."
    if scheme == "https":
        return _check_https(rest)
    if scheme == "http":
        # RFC 9700 §2.6 (AZ-06): http only for native apps that listen on loopback.
        return None if _is_loopback(uri) else "http is for localhost, 127.0.0.1 and [::1] only; use https."
    # RFC 8252 §8.4: a private-use scheme without a period belongs to nobody; javascript:, data: and file: are such.
    if "." not in scheme:
        return f"The scheme {scheme}: cannot be used; use https, or a private-use scheme such as com.example.wallet:."
    if not allow_private_use:
        return f"The private-use scheme {scheme}: needs `clients.allow_private_use_schemes: true`."
    if not rest.startswith("/") or "@" in rest:
        return f"After {scheme}: comes a path that begins with /, without user information."
    return None


def matches(registered: Sequence[str], sent: str) -> bool:
    """Whether a sent redirect URI is one of the list: character by character, but for the port of http loopback."""
    # RFC 9700 §2.1 (AZ-05, C-01): exact string matching, "except for port numbers in localhost redirection URIs".
    return sent in registered or any(_differ_in_port_only(uri, sent) for uri in registered)


def _check_https(rest: str) -> str | None:
    if "@" in re.split("[/?]", rest.removeprefix("//"), maxsplit=1)[0]:
        return "A redirect URI has no user information before the host."
    parts = _HTTPS.fullmatch(rest)
    if parts is None or int(parts["port"] or 1) > 65535:
        return "This is no https URL: write https://HOST/PATH."
    # M-24: no address literals.
    if not re.fullmatch(DNS_NAME, parts["host"]):
        return "The host of an https redirect URI is a DNS name in lower case."
    return None


def _is_loopback(uri: str) -> bool:
    parts = _LOOPBACK.fullmatch(uri)
    return parts is not None and int(parts["port"] or 1) <= 65535


def _differ_in_port_only(registered: str, sent: str) -> bool:
    """RFC 8252 §7.3: any port of a loopback URI. One loopback name is no alias of another."""
    ours, theirs = _LOOPBACK.fullmatch(registered), _LOOPBACK.fullmatch(sent)
    if ours is None or theirs is None or int(theirs["port"] or 1) > 65535:
        return False
    return (ours["host"], ours["rest"]) == (theirs["host"], theirs["rest"])
