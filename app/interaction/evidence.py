"""What the finished steps of a session have shown. Pure; sealed at rest, erased when the session ends."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct


class PresentedValue(Struct, frozen=True):
    """One claim of a presented credential that the plan uses."""

    path: list[str | int | None]
    value: Any


class Trusted(Struct, frozen=True, kw_only=True):
    """Whom the tenant trusted for a credential query when a presentation for it was judged."""

    presentation: str
    query: str
    names: list[str]
    """Under the document's `trust`."""
    digest: str
    """Of what stood under these names."""


class Presented(Struct, frozen=True, kw_only=True):
    """What one verified presentation contributes: the claims the plan uses and nothing else of it."""

    step: str
    query: str
    issuer: str
    vct: str
    holder_jkt: str
    """Thumbprint of the key that signed the presentation, computed by us."""
    trusted: Trusted
    values: list[PresentedValue]


class Evidence(Struct, frozen=True, kw_only=True):
    """Everything the finished steps have shown."""

    user_id: str | None = None
    """Who signed in."""
    results: dict[str, dict[str, Any]] = {}
    """Id of a web step → what it found out."""
    presented: list[Presented] = []

    def joined(self, user_id: str | None, results: Mapping[str, Mapping[str, Any]]) -> "Evidence":
        """Return this together with what a browser leg showed: who signed in, and the results of its steps."""
        found = {step: dict(values) for step, values in results.items()}
        return msgspec.structs.replace(self, user_id=user_id or self.user_id, results={**self.results, **found})

    def of(self, step: str, query: str) -> Presented | None:
        """Return what was presented for a credential query of a step."""
        return next((each for each in self.presented if (each.step, each.query) == (step, query)), None)


def value_at(presented: Presented, path: Sequence[str | int | None]) -> Any:
    """Return the value a path of the plan has in a presentation, None where it has none."""
    return next((each.value for each in presented.values if each.path == list(path)), None)
