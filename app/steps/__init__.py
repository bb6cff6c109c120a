"""Step types, one file each: those that a browser carries behind one small protocol, and presentations.

`gather` may do I/O; `judge` is pure. The registry of web steps is a plain dict made in `app.main`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from app.document.model import Step
from app.storage import TenantStore
from app.tenancy import Tenancy


class Page(Struct, frozen=True):
    """What a person is shown: a template of `app/pages/templates` and what it shows."""

    template: str
    values: dict[str, Any]


class ShownClaim(Struct, frozen=True):
    """A claim as a page shows it; its value only where the document says so, to a person who signed in."""

    name: str
    value: str | None


class ShownCredential(Struct, frozen=True):
    """A credential as a page shows it before it is issued."""

    name: str
    claims: list[ShownClaim]


class View(Struct, frozen=True, kw_only=True):
    """What is known when a page is shown."""

    wallet: str
    """How the wallet is called, else the host (or the scheme of an app) it is reached at."""
    credentials: Sequence[ShownCredential]
    demo_hints: Sequence[str]


class Accepted(Struct, frozen=True, kw_only=True):
    """The step is done."""

    results: dict[str, Any]
    user_id: str | None = None
    """Who signed in, if this step found out."""


class Rejected(Struct, frozen=True):
    """The person may try again; `message` is shown on the page."""

    message: str


class WebStep(Protocol):
    """A step a browser carries."""

    def page(self, step: Step, view: View) -> Page:
        """Return the page of this step."""
        ...

    async def gather(self, answer: Mapping[str, str], tenancy: Tenancy) -> Any:
        """Turn a submitted form into facts; the only place of a step that does I/O."""
        ...

    def judge(self, step: Step, facts: Any) -> Accepted | Rejected:
        """Judge the facts."""
        ...

    def record(self, outcome: Accepted, store: TenantStore) -> None:
        """Write what goes with the acceptance, in the transaction that records it."""
        ...


WebSteps = Mapping[type, WebStep]
"""The registry: document struct of a step → what carries it out."""
