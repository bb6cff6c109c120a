"""What the composition root wires for the handlers."""

from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Struct

from app.interaction.browser import BrowserLeg
from app.interaction.follow_up import FollowUps
from app.ports import Platform, RateLimits
from app.tenancy import Tenancies


class Wired(Struct, frozen=True, kw_only=True):
    """Everything that handlers and their dependencies share.

    One dependency and not several: the framework starts a task for each of those that depend on nothing.
    """

    tenancies: Tenancies
    platform: Platform
    rate_limits: RateLimits
    follow_ups: FollowUps
    browser_leg: BrowserLeg


Serving = NamedDependency[SkipValidation[Wired]]
