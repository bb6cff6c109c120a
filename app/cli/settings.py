"""`vestibule settings`: the settings in effect and where each came from."""

from typing import Any
from urllib.parse import urlsplit

import click

from app.cli import Invocation
from app.settings import Secret, unsafe, value_at


@click.command
@click.pass_obj
def settings(invocation: Invocation) -> None:
    """Show the settings in effect and where each value came from; secrets are masked."""
    loaded = invocation.load()
    rows = [(path, _shown(path, value_at(loaded.settings, path)), source) for path, source in loaded.origins.items()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for path, value, source in rows:
        click.echo(f"{path:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    for weakness in unsafe(loaded.settings):
        click.echo(f"unsafe: {weakness}")


def _shown(path: str, value: Any) -> str:
    if path in ("database.url", "redis.url") and isinstance(value, Secret):
        return _without_password(value.reveal())
    if isinstance(value, Secret):
        return "(secret)"
    if isinstance(value, tuple):
        return ", ".join(_shown(path, item) for item in value) or "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return "(not set)" if value is None else str(value)


def _without_password(url: str) -> str:
    """Show where a database or Redis is; user, password and parameters stay hidden."""
    parts = urlsplit(url)
    user = "(secret)@" if "@" in parts.netloc else ""
    parameters = "?(secret)" if parts.query else ""
    return f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}{parts.path}{parameters}"
