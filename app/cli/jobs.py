"""`vestibule jobs`: work nobody waits for."""

import asyncio

import click

from app.cli import Invocation
from app.cli.progress import telling
from app.jobs.schedule import JOBS, PERIOD
from app.settings import Settings


@click.group
def jobs() -> None:
    """List the jobs, and run them now."""


@jobs.command(name="list")
def list_jobs() -> None:
    """List the jobs and what they do."""
    for name, job in JOBS.items():
        click.echo(f"{name:<14}  every {PERIOD} s  {job.summary}")


@jobs.command
@click.argument("names", metavar="[NAME]...", nargs=-1, type=click.Choice(list(JOBS)))
@click.pass_obj
def run(invocation: Invocation, names: tuple[str, ...]) -> None:
    """Run jobs now: those named, else all of them.

    A service that is running does so by itself; running them beside it, or twice at once, does no harm.
    """
    asyncio.run(_run(invocation.settings, names or tuple(JOBS)))


async def _run(settings: Settings, names: tuple[str, ...]) -> None:
    from app.main import open_service

    async with open_service(settings) as service:
        for name in names:
            job = JOBS[name]
            count = await job.run(service.platform, service.clock, telling(f"{name}: {job.counted} so far"))
            click.echo(f"{name}: {job.counted}: {count}")
