"""The step `confirm`: a person sees what will be issued to which wallet, and agrees or refuses."""

from collections.abc import Mapping

from app.document.model import ConfirmStep, Step
from app.steps import Accepted, Page, Rejected, View
from app.storage import TenantStore
from app.tenancy import Tenancy


class Confirm:
    """Asks for consent (OpenID4VCI §15.1, AZ-27): what goes to whom. Refusing is a button of every page."""

    def page(self, step: Step, view: View) -> Page:
        """Return the consent page."""
        assert isinstance(step, ConfirmStep)  # noqa: S101  the registry maps ConfirmStep to this class
        return Page(
            "confirm.html",
            {"title": step.title, "text": step.text, "wallet": view.wallet, "credentials": list(view.credentials)},
        )

    async def gather(self, answer: Mapping[str, str], tenancy: Tenancy) -> None:
        """Gather nothing: pressing the button is the answer."""

    def judge(self, step: Step, facts: None) -> Accepted | Rejected:
        """Accept."""
        return Accepted(results={})

    def record(self, outcome: Accepted, store: TenantStore) -> None:
        """Write nothing: agreeing is recorded by what comes of it."""
