"""Selective disclosure for JWTs (RFC 9901): making digests of claims, and putting disclosed claims back.

Pure and without signatures; the profile for credentials is `app.formats.sd_jwt_vc`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from msgspec import Struct

from app.protocol import base64url, strict_json
from app.protocol.digest import digest
from app.protocol.jose import json_octets
from app.protocol.strict_json import Malformed

HASH_NAME: Final = "sha-256"
_MAX_DISCLOSURES: Final = 256
_MAX_DISCLOSURE_LENGTH: Final = 16_384
_MAX_DEPTH: Final = 32
# RFC 9901 §4.2.1, §4.2.4.2; `_sd_alg` (§4.1.1) is reserved at every level, so that none can be taken for it.
RESERVED: Final = frozenset({"_sd", "...", "_sd_alg"})


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


def digest_of(disclosure: str) -> str:
    """Return the digest of a disclosure: over its characters as they are (RFC 9901 §4.2.3, SD-07)."""
    return base64url.encode(digest(disclosure))


class _Disclosure(Struct, frozen=True):
    """What one disclosure says; `name` is None for an array element."""

    name: str | None
    value: Any


def reveal(payload: Mapping[str, Any], disclosures: Sequence[str]) -> dict[str, Any]:
    """Return the payload with the disclosed claims in it and nothing of the mechanism left (RFC 9901 §7.1 step 3).

    Raises `Malformed` by the rules of §7.1; the ledger ids stand at the checks.
    """
    # SD-06: only sha-256, spelled so.
    if payload.get("_sd_alg", HASH_NAME) != HASH_NAME:
        raise Malformed("_sd_alg is not sha-256")
    # SD-23
    if len(disclosures) > _MAX_DISCLOSURES:
        raise Malformed("too many disclosures")
    # SD-17
    if len(set(disclosures)) != len(disclosures):
        raise Malformed("repeated disclosure")
    walk = _Walk({digest_of(disclosure): _read(disclosure) for disclosure in disclosures})
    revealed = walk.members({name: value for name, value in payload.items() if name != "_sd_alg"}, 1)
    # RFC 9901 §7.1 step 5 (SD-16)
    if not walk.disclosures.keys() <= walk.seen:
        raise Malformed("disclosure that nothing refers to")
    return revealed


class _Walk:
    """One walk over a payload and what is disclosed in it."""

    def __init__(self, disclosures: Mapping[str, _Disclosure]) -> None:
        self.disclosures = disclosures
        self.seen: set[str] = set()

    def value(self, value: Any, depth: int) -> Any:
        # SD-23: disclosures can nest what each of them does not.
        if depth > _MAX_DEPTH:
            raise Malformed("claims nested too deeply")
        if isinstance(value, dict):
            return self.members(value, depth)
        if isinstance(value, list):
            return self.elements(value, depth)
        return value

    def members(self, members: Mapping[str, Any], depth: int) -> dict[str, Any]:
        digests = members.get("_sd", [])
        # SD-18
        if not isinstance(digests, list):
            raise Malformed("_sd is not an array")
        revealed: dict[str, Any] = {}
        for name, value in members.items():
            if name == "_sd":
                continue
            if name in RESERVED:
                raise Malformed("claim of a reserved name")
            revealed[name] = self.value(value, depth + 1)
        for entry in digests:
            found = self._find(entry)
            if found is None:
                continue
            # SD-09, SD-10, SD-11: a name, not reserved, not there yet.
            if found.name is None or found.name in RESERVED:
                raise Malformed("disclosure is not an object member's")
            if found.name in revealed:
                raise Malformed("disclosed claim is there already")
            revealed[found.name] = self.value(found.value, depth + 1)
        return revealed

    def elements(self, elements: Sequence[Any], depth: int) -> list[Any]:
        revealed: list[Any] = []
        for element in elements:
            if not isinstance(element, dict) or "..." not in element:
                revealed.append(self.value(element, depth + 1))
                continue
            # SD-18
            if len(element) != 1:
                raise Malformed("array element digest with other members")
            found = self._find(element["..."])
            # SD-13: what is not disclosed is left out.
            if found is None:
                continue
            # SD-12
            if found.name is not None:
                raise Malformed("disclosure is not an array element's")
            revealed.append(self.value(found.value, depth + 1))
        return revealed

    def _find(self, reference: Any) -> _Disclosure | None:
        if not isinstance(reference, str):
            raise Malformed("digest is not a string")
        # RFC 9901 §7.1 step 4 (SD-15)
        if reference in self.seen:
            raise Malformed("repeated digest")
        self.seen.add(reference)
        return self.disclosures.get(reference)


def _read(disclosure: str) -> _Disclosure:
    if len(disclosure) > _MAX_DISCLOSURE_LENGTH:
        raise Malformed("disclosure too long")
    try:
        octets = base64url.decode(disclosure)
    except ValueError:
        raise Malformed("disclosure is not base64url") from None
    # RFC 9901 §4.2.1, §4.2.2 (SD-09, SD-12): [salt, name, value] or [salt, value]
    match strict_json.parse(octets, max_depth=_MAX_DEPTH):
        case [str(), str(name), value]:
            return _Disclosure(name, value)
        case [str(), value]:
            return _Disclosure(None, value)
        case _:
            raise Malformed("disclosure is not an array of salt, name and value")
