"""Selective disclosure for JWTs (RFC 9901): what an SD-JWT consists of, and putting disclosed claims back.

Pure and without signatures; the profile for credentials is `app.formats.sd_jwt_vc`. Making digests of claims is
`app.formats.sd_jwt_blinding`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from app.protocol import base64url, jose, strict_json
from app.protocol.strict_json import Malformed

HASH_NAME: Final = "sha-256"
"""What we issue with, and what `_sd_alg` stands for where it is absent (RFC 9901 §4.1.1)."""

# RFC 9901 §4.1.1, §9.4 (SD-06): by their exact names, and none that is truncated.
_HASHES: Final = {HASH_NAME: hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}

_MAX_LENGTH: Final = 262_144
_MAX_JWT_LENGTH: Final = 131_072
_MAX_DISCLOSURES: Final = 256
_MAX_DISCLOSURE_LENGTH: Final = 16_384
_MAX_DEPTH: Final = 32

RESERVED: Final = frozenset({"_sd", "...", "_sd_alg"})
"""RFC 9901 §4.2.1, §4.2.4.2; `_sd_alg` (§4.1.1) is reserved at every level, so that none can be taken for it."""


class SdJwt(Struct, frozen=True, kw_only=True):
    """The parts of an SD-JWT in compact serialization (RFC 9901 §4); nothing of them is verified."""

    issuer_jwt: jose.UnverifiedJwt
    disclosures: list[str]
    key_binding_jwt: str
    """Empty where there is none."""
    unbound: str
    """Everything up to and including the last `~`: what key binding is over."""


def split(text: str) -> SdJwt:
    """Return the parts of an SD-JWT, with key binding or without. Raises `Malformed`."""
    # SD-23, VPT-09: before all else.
    if len(text) > _MAX_LENGTH:
        raise Malformed("SD-JWT too long")
    # RFC 9901 §4 (SD-01): JWT "~" *(disclosure "~") [KB-JWT]; the alphabet of each part is judged where it is read.
    issuer_jwt, *disclosures = text.split("~")
    if not disclosures:
        raise Malformed("SD-JWT without ~")
    key_binding_jwt = disclosures.pop()
    return SdJwt(
        issuer_jwt=jose.parse_jwt(issuer_jwt, max_length=_MAX_JWT_LENGTH),
        disclosures=disclosures,
        key_binding_jwt=key_binding_jwt,
        unbound=text.removesuffix(key_binding_jwt),
    )


def withhold(text: str, *, enough: Callable[[dict[str, Any]], bool]) -> str:
    """Return an SD-JWT of a holder's without the disclosures that its claims are `enough` without.

    `enough` may raise `Malformed` for no. What it says no to with everything disclosed is returned as it is.
    """
    parts = split(text)
    kept = parts.disclosures

    def is_enough_without(disclosure: str) -> bool:
        try:
            return enough(reveal(parts.issuer_jwt.payload, [other for other in kept if other != disclosure]))
        except Malformed:
            # Also where one that is kept lies within this one.
            return False

    while (needless := next(filter(is_enough_without, kept), None)) is not None:
        kept = [other for other in kept if other != needless]
    return "~".join([text.partition("~")[0], *kept, ""])


def hash_name(payload: Mapping[str, Any]) -> str:
    """Return the name of the hash an SD-JWT uses, for its disclosures and for key binding. Raises `Malformed`."""
    name = payload.get("_sd_alg", HASH_NAME)
    # SD-06
    if not isinstance(name, str) or name not in _HASHES:
        raise Malformed("_sd_alg is not supported")
    return name


def digest_of(text: str, name: str = HASH_NAME) -> str:
    """Return the digest of a disclosure, or of what key binding is over.

    It is over the characters as they are (RFC 9901 §4.2.3, §4.3.1; SD-07).
    """
    return base64url.encode(_HASHES[name](text.encode()).digest())


class _Disclosure(Struct, frozen=True):
    """What one disclosure says; `name` is None for an array element."""

    name: str | None
    value: Any


def reveal(payload: Mapping[str, Any], disclosures: Sequence[str]) -> dict[str, Any]:
    """Return the payload with the disclosed claims in it and nothing of the mechanism left (RFC 9901 §7.1 step 3).

    Raises `Malformed` by the rules of §7.1.
    """
    name = hash_name(payload)
    # SD-23
    if len(disclosures) > _MAX_DISCLOSURES:
        raise Malformed("too many disclosures")
    # SD-17
    if len(set(disclosures)) != len(disclosures):
        raise Malformed("repeated disclosure")
    # Reading a disclosure shows that it is ASCII.
    read = [(_read(disclosure), disclosure) for disclosure in disclosures]
    walk = _Walk({digest_of(disclosure, name): content for content, disclosure in read})
    revealed = walk.members({member: value for member, value in payload.items() if member != "_sd_alg"}, 1)
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
