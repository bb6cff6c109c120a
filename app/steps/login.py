"""The step `login`: a person signs in as one of the tenant's users."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from app.document.model import LONGEST_PASSWORD, LONGEST_USERNAME, LoginStep, Step
from app.ports import Passwords
from app.records import StoredUser
from app.steps import Accepted, Page, Rejected, View
from app.storage import TenantStore
from app.tenancy import Tenancy

_TRIES: Final = 5
_WINDOW: Final = 900


class LoginFacts(Struct, frozen=True):
    """What came of a try; `user` is None for every kind of failure."""

    user: StoredUser | None
    too_many: bool = False


class Login:
    """Signs people in: user name and password, a limited number of tries per name, existing or not."""

    def __init__(self, passwords: Passwords, *, demo: bool) -> None:
        self._passwords = passwords
        self._demo = demo

    def page(self, step: Step, view: View) -> Page:
        """Return the sign-in page."""
        assert isinstance(step, LoginStep)  # noqa: S101  the registry maps LoginStep to this class
        return Page(
            "login.html",
            {
                "title": step.title,
                "text": step.text,
                "wallet": view.wallet,
                "credentials": list(view.credentials),
                # A document applied in demo mode may have stayed behind in a database that is served for real now.
                "demo_hints": list(view.demo_hints) if self._demo else [],
            },
        )

    async def gather(self, answer: Mapping[str, str], tenancy: Tenancy) -> LoginFacts:
        """Spend a try, then compare the password; an unknown name costs the same work as a known one (O-09, O-10)."""
        username, password = answer.get("username", ""), answer.get("password", "")
        # O-15: nobody has such a name or password, and comparing Unicode forms takes a time that grows with the square.
        if len(username) > LONGEST_USERNAME or len(password) > LONGEST_PASSWORD:
            return LoginFacts(None)
        now = tenancy.clock.now()
        # The try is spent in a transaction of its own, before it is known whether it succeeds.
        counted = await tenancy.write(
            lambda store: store.users.count_login_attempt(username, now=now, limit=_TRIES, window=_WINDOW)
        )
        if not counted:
            return LoginFacts(None, too_many=True)
        user = await tenancy.read(lambda store: store.users.by_username(username))
        usable = user if user is not None and user.active else None
        if not await self._passwords.matches(password, usable.password_hash if usable else None):
            return LoginFacts(None)
        return LoginFacts(usable)

    def judge(self, step: Step, facts: LoginFacts) -> Accepted | Rejected:
        """Accept a person who was found."""
        if facts.too_many:
            return Rejected("Too many tries. Please wait 15 minutes.")
        if facts.user is None:
            return Rejected("The user name or the password is not right.")
        return Accepted(results={"username": facts.user.username}, user_id=facts.user.user_id)

    def record(self, outcome: Accepted, store: TenantStore) -> None:
        """Forget the tries before this one."""
        store.users.clear_login_attempts(outcome.results["username"])
