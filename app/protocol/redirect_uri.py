"""Redirect URIs: which may be listed, and whether a sent one is on the list (RFC 9700 §2.1, RFC 8252 §7.3).

The first is also a rule of the tenant document, on the floor below, and is written there.
"""

from collections.abc import Sequence

from app.document.redirect_uri import LOOPBACK, check_registered

__all__ = ["check_registered", "matches"]


def matches(registered: Sequence[str], sent: str) -> bool:
    """Whether a sent redirect URI is one of the list: character by character, but for the port of http loopback."""
    # RFC 9700 §2.1 (AZ-05, C-01): exact string matching, "except for port numbers in localhost redirection URIs".
    return sent in registered or any(_differ_in_port_only(uri, sent) for uri in registered)


def _differ_in_port_only(registered: str, sent: str) -> bool:
    """RFC 8252 §7.3: any port of a loopback URI. One loopback name is no alias of another."""
    ours, theirs = LOOPBACK.fullmatch(registered), LOOPBACK.fullmatch(sent)
    if ours is None or theirs is None or int(theirs["port"] or 1) > 65535:
        return False
    return (ours["host"], ours["rest"]) == (theirs["host"], theirs["rest"])
