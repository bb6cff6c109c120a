"""A service with limits small enough to reach, whose tests say by a proxy's header where they send from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from app.adapters.db.migrate import upgrade
from app.document.model import TenantDocument
from app.settings import LimitSettings, RedisSettings, Secret, ServerSettings
from tests.support.documents import document, other_tenant
from tests.support.server import RunningServer, free_port, run_apart, running_server, settings_for


@contextmanager
def limited_server(
    folder: Path,
    limits: LimitSettings,
    *,
    documents: Sequence[TenantDocument] | None = None,
    proxies: tuple[str, ...] = ("127.0.0.1",),
    redis_url: str | None = None,
) -> Iterator[RunningServer]:
    """Serve with these limits on the SQLite database in `folder`."""
    url = f"sqlite:///{folder / 'vestibule.db'}"
    run_apart(upgrade(url))
    port = free_port()
    settings = msgspec.structs.replace(
        settings_for(url, folder, port=port),
        server=ServerSettings(port=port, trusted_proxies=proxies, graceful_shutdown=2),
        redis=RedisSettings(url=None if redis_url is None else Secret(redis_url)),
        limits=limits,
    )
    with running_server(settings, documents or [document(), other_tenant()]) as running:
        yield running


def sent_from(address: str) -> dict[str, str]:
    """Return the header that a trusted proxy sends for this address."""
    return {"X-Forwarded-For": address}
