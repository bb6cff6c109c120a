"""The composition root: the only place where adapters meet ports, and where the plug-in registries are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

import structlog
from litestar import Litestar, Router
from litestar.types import ASGIApp
from msgspec import Struct

from app.adapters.db.counted import CountedDatabase
from app.adapters.db.engine import open_engine
from app.adapters.db.migrate import ensure_schema
from app.adapters.db.platform import SqlPlatform
from app.adapters.db.store import SqlDatabase
from app.adapters.db.tenancies import SqlTenancies
from app.adapters.db.vaults import Vaults
from app.adapters.key_maker import SoftwareKeyMaker
from app.adapters.logs import RequestLog
from app.adapters.master_key import load_master_keys
from app.adapters.metrics import open_metrics
from app.adapters.passwords import Argon2Passwords
from app.adapters.rate_limits import make_rate_limits
from app.adapters.system import SystemClock, SystemEntropy
from app.adapters.vault import MasterKeys, SealBroken
from app.document.model import ConfirmStep, LoginStep
from app.document_rules.unsafe import unsafe_choices
from app.endpoints import authorize, credential, health, interactive, jwks, metadata, nonce, par, static, token
from app.endpoints.boundary import Boundary
from app.endpoints.deps import DEPENDENCIES, RESOURCE_DEPENDENCIES
from app.endpoints.errors import EXCEPTION_HANDLERS
from app.endpoints.wired import Wired
from app.formats.sd_jwt_vc_verification import verify_presentation
from app.interaction.browser import BrowserLeg
from app.interaction.follow_up import FollowUps
from app.interaction.presented import PresentationVerifiers
from app.jobs.schedule import running_jobs
from app.ports import Clock, Database, Entropy, KeyMaker, Metrics, Passwords, Platform, RateLimits
from app.protocol.refusal import Refusal
from app.settings import Settings
from app.steps import WebSteps
from app.steps.confirm import Confirm
from app.steps.login import Login
from app.tenancy import Tenancies


class Service(Struct, frozen=True, kw_only=True):
    """The opened service: every adapter behind its port."""

    settings: Settings
    clock: Clock
    entropy: Entropy
    platform: Platform
    database: Database
    tenancies: Tenancies
    key_maker: KeyMaker
    passwords: Passwords


@asynccontextmanager
async def open_service(
    settings: Settings,
    *,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    passwords: Passwords | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[Service]:
    """Open the database and everything that needs it; with `metrics`, what is committed is counted.

    Raises `Refusal` where its schema is not current or it needs a master key that was not given.
    """
    clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
    await ensure_schema(settings.database_url, embedded=settings.database.url is None)
    vaults = Vaults(MasterKeys(load_master_keys(settings, entropy), entropy), entropy)
    transactions = await open_engine(settings.database_url)
    try:
        await transactions.read(vaults.check_master_keys)
        database = (
            SqlDatabase(transactions, vaults) if metrics is None else CountedDatabase(transactions, vaults, metrics)
        )
        yield Service(
            settings=settings,
            clock=clock,
            entropy=entropy,
            platform=SqlPlatform(transactions, vaults, entropy),
            database=database,
            tenancies=SqlTenancies(
                transactions, vaults, database=database, clock=clock, entropy=entropy, public_url=settings.public_url
            ),
            key_maker=SoftwareKeyMaker(entropy),
            passwords=passwords or Argon2Passwords(entropy),
        )
    finally:
        await transactions.close()


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    passwords: Passwords | None = None,
) -> Litestar:
    """Return the service as an application; its database is opened when it starts. Overrides are for tests."""
    rate_limits = make_rate_limits(settings, clock or SystemClock())
    metrics = open_metrics(settings)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_service(
            settings, clock=clock, entropy=entropy, passwords=passwords, metrics=metrics
        ) as opening:
            app.state.wired = _wire(opening, rate_limits)
            await _name_unsafe_choices(opening)
            async with running_jobs(opening.platform, opening.clock, structlog.get_logger("jobs"), metrics):
                yield

    app = Litestar(
        [
            *_wallet_facing(),
            Router("/", route_handlers=[health.healthz, health.readyz, static.styles, static.icon]),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[lifespan],
        on_shutdown=[rate_limits.close],
        openapi_config=None,
        logging_config=None,
        etag=None,
    )
    app.state.wired_endpoints = metadata.wired_endpoints(app)
    # Around the router, not behind it: the framework's own middleware runs after routing and never sees a 404.
    boundary = Boundary(app.asgi_handler, public_url=settings.public_url, wired=lambda: cast("Wired", app.state.wired))
    log = RequestLog(boundary, clock or SystemClock(), entropy or SystemEntropy(), metrics)
    app.asgi_handler = cast("ASGIApp", log)
    return app


def _wire(service: Service, rate_limits: RateLimits) -> Wired:
    web_steps: WebSteps = {LoginStep: Login(service.passwords, demo=service.settings.demo), ConfirmStep: Confirm()}
    return Wired(
        tenancies=service.tenancies,
        platform=service.platform,
        rate_limits=rate_limits,
        follow_ups=FollowUps(_PRESENTATION_VERIFIERS),
        browser_leg=BrowserLeg(web_steps),
    )


async def _name_unsafe_choices(service: Service) -> None:
    """Say in the start-up log which tenants chose something weaker than the default, and which cannot be opened."""
    log = structlog.get_logger("server")
    for head in await service.platform.transact(lambda store: store.tenants()):
        try:
            _, document = await service.database.read(head.tenant_id, lambda store: store.documents.current())
        except SealBroken:
            # Not a reason to let the other tenants down; its own requests are answered by server_error.
            log.warning("tenant cannot be opened: its data does not unseal", tenant=head.slug)
            continue
        except Refusal as refusal:
            if refusal.code != "not_found":
                raise
            continue  # deleted since it was listed
        for choice in unsafe_choices(document):
            log.warning("unsafe tenant setting", tenant=head.slug, setting=choice)


def _wallet_facing() -> list[Router]:
    """Return the endpoints with what they may demand."""
    return [
        Router(
            "/",
            dependencies=DEPENDENCIES,
            route_handlers=[
                metadata.authorization_server,
                metadata.credential_issuer,
                jwks.jwks,
                par.pushed_authorization_request,
                interactive.interactive_authorization,
                authorize.authorize,
                authorize.answer,
                token.token,
                nonce.c_nonce,
            ],
        ),
        Router("/", dependencies=RESOURCE_DEPENDENCIES, route_handlers=[credential.credential]),
    ]


_PRESENTATION_VERIFIERS: Final[PresentationVerifiers] = {"dc+sd-jwt": verify_presentation}
"""The registry of credential formats that can be presented."""
