"""Claims path pointers (OpenID4VP §7): what a path selects in the claims of a JSON credential."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from app.protocol.strict_json import Malformed

ClaimsPath = Sequence[str | int | None]

_MAX_VISITED: Final = 10_000


def select(claims: Any, path: ClaimsPath) -> list[Any]:
    """Return the elements a path selects: at least one.

    `claims` are those of the processed payload: an index counts what was disclosed (CP-07). Raises `Malformed` where
    the rules of OpenID4VP §7.1.1 end in an error, an empty selection included, and where the path visits more than
    10 000 elements.
    """
    # OpenID4VP §7: a path is a non-empty array.
    if not path:
        raise Malformed("claims path is empty")
    # OpenID4VP §7.1.1 step 1
    selected = [claims]
    visited = 0
    for component in path:
        following = []
        for element in _follow(selected, component):
            visited += 1
            # CP-08: nested arrays multiply.
            if visited > _MAX_VISITED:
                raise Malformed("claims path visits too much")
            following.append(element)
        selected = following
    # OpenID4VP §7.1.1 step 3 (CP-04)
    if not selected:
        raise Malformed("claims path selects nothing")
    return selected


def _follow(selected: Sequence[Any], component: str | int | None) -> Iterator[Any]:
    """OpenID4VP §7.1.1 step 2: a missing member or index drops the element, another kind of element is an error."""
    for element in selected:
        match component:
            # Step 2.1 (CP-01)
            case str() if isinstance(element, dict):
                if component in element:
                    yield element[component]
            # Step 2.2 (CP-02)
            case None if isinstance(element, list):
                yield from element
            # Step 2.3 (CP-03); a boolean is no integer (CP-05).
            case int() if isinstance(element, list) and not isinstance(component, bool) and component >= 0:
                if component < len(element):
                    yield element[component]
            # Steps 2.1 to 2.4
            case _:
                raise Malformed("claims path does not fit the claims")
