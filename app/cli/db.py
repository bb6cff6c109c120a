"""`vestibule db`: the database's schema."""

import asyncio

import click

from app.adapters.db import migrate
from app.cli import Invocation
from app.protocol.refusal import Refusal


@click.group
def db() -> None:
    """Upgrade and check the database."""


@db.command
@click.pass_obj
def upgrade(invocation: Invocation) -> None:
    """Bring the database to the schema this version needs."""
    before = asyncio.run(migrate.upgrade(invocation.settings.database_url))
    newest = migrate.newest()
    click.echo(f"nothing to do: {newest}" if before == newest else f"upgraded: {before or 'empty'} to {newest}")


@db.command
@click.pass_obj
def current(invocation: Invocation) -> None:
    """Show which schema the database has."""
    click.echo(asyncio.run(migrate.current(invocation.settings.database_url)) or "empty")


@db.command
@click.pass_obj
def check(invocation: Invocation) -> None:
    """Compare the database with what the migrations make, CHECK constraints and triggers included."""
    differences = asyncio.run(migrate.check(invocation.settings.database_url))
    if differences:
        raise Refusal("schema_differs", "The database is not as it should be.", reason="\n".join(differences))
    click.echo(f"the database is as it should be: {migrate.newest()}")
