"""The service's settings: one frozen struct, read once by `app.settings_reader`.

What tenants may set lives in their documents, not here.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

PROJECT_ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout or image; relative paths in settings start here, wherever the command was called."""

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts of public URLs that mean this machine itself."""


class Secret:
    """A setting that must not be shown: no text form of it, and of no struct around it, holds the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return "(secret)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class ServerSettings(Struct, frozen=True, kw_only=True):
    """The HTTP server."""

    host: str = "127.0.0.1"
    port: int = 8000
    tls_certificate: Path | None = None
    """PEM chain, leaf first."""
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Addresses, networks, or `*`: whose `X-Forwarded-…` is believed."""
    graceful_shutdown: int = 10
    """Seconds that running requests get to finish."""
    workers: int = 1
    """Processes that serve; more than one needs PostgreSQL."""


class DatabaseSettings(Struct, frozen=True, kw_only=True):
    """The database."""

    url: Secret | None = None
    """`sqlite:///…` or `postgresql://…`; without it, SQLite in the data directory."""


class RedisSettings(Struct, frozen=True, kw_only=True):
    """What several processes count their requests in together; nothing that must not be lost is kept there."""

    url: Secret | None = None
    """`redis://…`, `rediss://…` or `unix://…`; without it, each process counts for itself."""


class LimitSettings(Struct, frozen=True, kw_only=True):
    """How many requests are served per minute; beyond, `429`. One address is an IPv4 address or an IPv6 /64."""

    mode: Literal["on", "off"] = "on"
    starts_per_address: int = 120
    """Pushed authorization requests and interactive requests that begin a session."""
    starts_per_client: int = 1200
    starts_per_tenant: int = 3000
    follow_ups_per_address: int = 600
    """All requests at the interactive endpoint."""
    follow_ups_per_session: int = 30
    """By `auth_session`."""
    follow_ups_per_tenant: int = 15000
    tokens_per_address: int = 240
    tokens_per_client: int = 2400
    tokens_per_tenant: int = 6000
    credentials_per_address: int = 480
    credentials_per_client: int = 4800
    credentials_per_tenant: int = 12000
    nonces_per_address: int = 600
    nonces_per_tenant: int = 15000
    pages_per_address: int = 600
    """Pages shown and forms answered."""
    pages_per_tenant: int = 15000
    metadata_per_address: int = 1200
    """Metadata and keys."""
    metadata_per_tenant: int = 60000


class SecretSettings(Struct, frozen=True, kw_only=True):
    """The master keys: 32 octets each, base64url. The first wraps, all unwrap."""

    master_keys: tuple[Secret, ...] = ()
    master_key_file: Path | None = None
    """One key per line."""
    allow_generated_master_key: bool = False
    """Whether a key made by the service itself may protect a public deployment."""


class LogSettings(Struct, frozen=True, kw_only=True):
    """The log, on standard error."""

    format: Literal["auto", "json", "text"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class MetricsSettings(Struct, frozen=True, kw_only=True):
    """The metrics, on a listener of their own."""

    host: str = "127.0.0.1"
    port: int | None = None
    """Without it there are no metrics."""


class Settings(Struct, frozen=True, kw_only=True):
    """All settings. Every path in it is absolute."""

    public_url: str = "http://localhost:8000"
    """Scheme, host and port that wallets see; issuer identifiers begin with it. No trailing slash."""
    demo: bool = False
    """Whether documents may show passwords of demonstration users on the sign-in page."""
    data_directory: Path = PROJECT_ROOT / "var"
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    secrets: SecretSettings = SecretSettings()
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()

    @property
    def database_url(self) -> str:
        """The database in use, with its password if it has one."""
        if self.database.url is not None:
            return self.database.url.reveal()
        return f"sqlite:///{self.data_directory / 'vestibule.db'}"

    @property
    def is_loopback(self) -> bool:
        """Whether the public URL's host is this machine itself."""
        return urlsplit(self.public_url).hostname in LOOPBACK_NAMES


def leaves() -> Iterator[tuple[str, Any, Any]]:
    """Yield dotted path, type and default of every setting."""
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            for inner in msgspec.structs.fields(field.type):
                yield f"{field.name}.{inner.name}", inner.type, inner.default
        else:
            yield field.name, field.type, field.default


def value_at(settings: Settings, path: str) -> Any:
    """Return the value at a dotted path."""
    section, _, name = path.rpartition(".")
    return getattr(getattr(settings, section) if section else settings, name)


def unsafe(settings: Settings) -> list[str]:
    """Name the settings that weaken the service although they are allowed, for the start-up log."""
    found = []
    if settings.demo:
        found.append("demo: passwords of demonstration users are shown on sign-in pages")
    if settings.secrets.allow_generated_master_key and not settings.is_loopback:
        found.append("secrets.allow_generated_master_key: the master key lies in the data directory it protects")
    if "*" in settings.server.trusted_proxies:
        found.append("server.trusted_proxies: forwarded headers are believed from every address")
    if settings.limits.mode == "off":
        found.append("limits.mode: nobody is kept from sending any number of requests")
    elif settings.server.workers > 1 and settings.redis.url is None:
        found.append(f"redis.url: each of {settings.server.workers} processes counts requests for itself alone")
    encrypted = settings.server.tls_certificate is not None or settings.server.trusted_proxies
    if not encrypted and not _is_loopback_address(settings.server.host):
        found.append("server.host: plain HTTP is served beyond this machine")
    if settings.metrics.port is not None and not _is_loopback_address(settings.metrics.host):
        found.append("metrics.host: the metrics are served beyond this machine, to whoever asks")
    return found


def _is_loopback_address(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
