"""What the composition root wires for the handlers."""

from typing import cast

from msgspec import Struct

from app.endpoints.wire import HttpRequest
from app.interaction.browser import BrowserLeg
from app.interaction.follow_up import FollowUps
from app.ports import Platform, RateLimits
from app.tenancy import Tenancies


class Wired(Struct, frozen=True, kw_only=True):
    """What all requests share, from the start of the application to its end."""

    tenancies: Tenancies
    platform: Platform
    rate_limits: RateLimits
    follow_ups: FollowUps
    browser_leg: BrowserLeg


def wired(request: HttpRequest) -> Wired:
    """Return what is wired; the boundary hands it to every request."""
    return cast("Wired", request.scope["state"]["wired"])
