"""Names in a document: which are equal, which are given twice, and which there are."""

import unicodedata
from collections.abc import Iterable, Sequence


def same_name(username: str) -> str:
    """Return what is equal for user names that differ in upper and lower case or in Unicode form only."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", username).casefold())


def repeated(values: Sequence[str]) -> list[int]:
    """Return the indexes of values that came before."""
    seen: set[str] = set()
    indexes = []
    for index, value in enumerate(values):
        if value in seen:
            indexes.append(index)
        seen.add(value)
    return indexes


def choices(what: str, names: Iterable[str]) -> str:
    """Return the hint that says which there are of `what`, such as "names under `trust`"."""
    listed = ", ".join(names)
    return f"The {what} are: {listed}." if listed else f"There are no {what}."
