"""Selective disclosure for JWTs (RFC 9901 §4.2): making digests of claims, for an issuer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from app.formats.sd_jwt import RESERVED, digest_of
from app.protocol import base64url
from app.protocol.jose import json_octets


class DisclosableClaim(Protocol):
    """One claim to issue: where it goes, its JSON value, whether the holder may withhold it."""

    @property
    def path(self) -> tuple[str, ...]:
        """The names from the top of the payload down."""
        ...

    @property
    def value(self) -> Any:
        """A JSON value."""
        ...

    @property
    def disclosure(self) -> Literal["selective", "always"]:
        """Whether the holder may withhold the claim."""
        ...


class _Node:
    """A member of the tree that claims are placed in: a value, or members of its own."""

    def __init__(self) -> None:
        self.value: Any = None
        self.children: dict[str, _Node] | None = None
        self.selective = False
        self.claimed = False


def blind(claims: Sequence[DisclosableClaim], *, salt: Callable[[], str]) -> tuple[dict[str, Any], list[str]]:
    """Return payload members and disclosures for `claims` (RFC 9901 §4.2).

    An object named only by the paths below it is plain, so each of its members is disclosed for itself (§6.2). An
    object that is a claim itself keeps that claim's rule, and claims below it add to it: a selective one below a
    selective one is recursive (§6.3), one that is always disclosed below a selective one comes and goes with it.
    `salt` gives at least 128 random bits in base64url, anew for every disclosure. Raises `ValueError` for a reserved
    name, two claims of one path, and a path through something that is no object.
    """
    root: dict[str, _Node] = {}
    # Shorter paths first: an object stands before claims are placed in it.
    for claim in sorted(claims, key=lambda claim: len(claim.path)):
        node = _at(root, claim.path)
        if node.claimed:
            raise ValueError("two claims of one path")
        node.value, node.children = claim.value, None
        node.selective = claim.disclosure == "selective"
        node.claimed = True
    disclosures: list[str] = []
    return _blind(root, disclosures, salt), disclosures


def _at(root: dict[str, _Node], path: tuple[str, ...]) -> _Node:
    members = root
    for name in path[:-1]:
        node = members.setdefault(name, _Node())
        if node.children is None:
            if node.value is not None and not isinstance(node.value, Mapping):
                raise ValueError("a claim's path leads through a value that is no object")
            node.children = {}
            for member, value in (node.value or {}).items():
                node.children[member] = _Node()
                node.children[member].value = value
        members = node.children
    return members.setdefault(path[-1], _Node())


def _blind(members: Mapping[str, _Node], disclosures: list[str], salt: Callable[[], str]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    digests: list[str] = []
    for name, node in members.items():
        if name in RESERVED:
            raise ValueError("a claim has a reserved name")
        if node.children is None:
            _refuse_reserved_names(node.value)
            value = node.value
        else:
            value = _blind(node.children, disclosures, salt)
        if node.selective:
            disclosure = base64url.encode(json_octets([salt(), name, value]))
            disclosures.append(disclosure)
            digests.append(digest_of(disclosure))
        else:
            plain[name] = value
    if digests:
        # RFC 9901 §4.2.4.1: the order must not tell which claims there are.
        plain["_sd"] = sorted(digests)
    return plain


def _refuse_reserved_names(value: Any) -> None:
    if isinstance(value, Mapping):
        if RESERVED & value.keys():
            raise ValueError("a claim has a reserved name")
        for member in value.values():
            _refuse_reserved_names(member)
    elif isinstance(value, list | tuple):
        for element in value:
            _refuse_reserved_names(element)
