"""`vestibule tenant`: apply, validate and show tenant documents."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import click
import msgspec

from app.cli import Invocation
from app.document.model import TenantDocument
from app.document.problem import Problem
from app.document.rules import Surroundings
from app.document.schema import tenant_schema
from app.document.source import MAX_OCTETS
from app.document.validation import validate as validate_document
from app.records import TenantHead
from app.settings import Settings
from app.storage import PlatformStore

T = TypeVar("T")

_SUFFIXES: Final = (".yaml", ".yml", ".json")

_SOURCE = click.argument("source", type=click.Path(path_type=Path, exists=True), metavar="FILE|DIR")


@click.group
def tenant() -> None:
    """Apply, validate and show tenant documents."""


@tenant.command
@_SOURCE
@click.pass_obj
def validate(invocation: Invocation, source: Path) -> None:
    """Find everything that is wrong with a document, or with all of a folder. Needs no database."""
    for file, document in _read_all(source, invocation.settings):
        click.echo(f"{file}: {document.tenant.slug} is valid")


@tenant.command
@_SOURCE
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@click.pass_obj
def apply(invocation: Invocation, source: Path, *, dry_run: bool) -> None:
    """Make tenants, or change them, from a document or from all of a folder.

    Where any document is wrong, nothing is applied. Applying the same document again changes nothing.
    """
    documents = _read_all(source, invocation.settings)
    asyncio.run(_apply(invocation.settings, [document for _, document in documents], dry_run=dry_run))


async def _apply(settings: Settings, documents: list[TenantDocument], *, dry_run: bool) -> None:
    from app.main import open_service
    from app.provisioning import apply_document

    async with open_service(settings) as service:
        for document in documents:
            applied = await apply_document(
                service.platform,
                service.key_maker,
                service.passwords,
                service.clock,
                service.entropy,
                document,
                dry_run=dry_run,
            )
            if applied.unchanged:
                click.echo(f"{applied.slug}: unchanged, revision {applied.revision}")
            elif dry_run:
                click.echo(f"{applied.slug}: would be {'created' if applied.created else 'changed'}")
            else:
                click.echo(
                    f"{applied.slug}: {'created' if applied.created else 'changed'}, revision {applied.revision}"
                )
            for change in applied.changes:
                click.echo(f"  {change}")


@tenant.command(name="list")
@click.pass_obj
def list_tenants(invocation: Invocation) -> None:
    """List the tenants."""
    settings = invocation.settings
    heads = asyncio.run(_transact(settings, lambda store: store.tenants()))
    width = max((len(head.slug) for head in heads), default=0)
    for head in heads:
        issuer = head.origin or f"{settings.public_url}/{head.slug}"
        click.echo(f"{head.slug:<{width}}  {head.status}  revision {head.revision}  {issuer}")


@tenant.command
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="The stored document, without the people in it.")
@click.pass_obj
def show(invocation: Invocation, slug: str, *, as_json: bool) -> None:
    """Show one tenant as it is stored."""
    from app.provisioning import tenant_of

    def look(store: PlatformStore) -> tuple[TenantHead, TenantDocument, int]:
        head = tenant_of(store, slug)
        repositories = store.tenant(head.tenant_id)
        return head, repositories.documents.current()[1], len(repositories.users.all())

    head, document, people = asyncio.run(_transact(invocation.settings, look))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(document), indent=2, ensure_ascii=False))
        return
    click.echo(f"tenant      {head.slug} ({document.tenant.display[0].name}), {head.status}, revision {head.revision}")
    click.echo(f"issuer      {head.origin or f'{invocation.settings.public_url}/{head.slug}'}")
    for name, configuration in document.credentials.items():
        steps = ", ".join(step.id for step in document.sequences[configuration.sequence].steps)
        state = "" if configuration.enabled else ", disabled"
        click.echo(f"credential  {name} ({configuration.format}, {configuration.vct}; steps: {steps}{state})")
    for client in document.clients.registered:
        click.echo(f"client      {client.client_id} ({client.name}{'' if client.active else ', inactive'})")
    click.echo(
        f"others      {'accepted' if document.clients.unknown_public else 'refused'} (public clients not listed)"
    )
    click.echo(f"users       {people}")


@tenant.command
@click.argument("slug")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(invocation: Invocation, slug: str, *, yes: bool) -> None:
    """Destroy a tenant's keys and data for good; its slug is never given out again."""
    if not yes:
        click.confirm(f"Destroy all keys and data of {slug} for good?", abort=True)
    asyncio.run(_delete(invocation.settings, slug))
    click.echo(f"{slug}: deleted")


async def _delete(settings: Settings, slug: str) -> None:
    from app.main import open_service
    from app.provisioning import delete_tenant

    async with open_service(settings) as service:
        await delete_tenant(service.platform, service.clock, slug)


@tenant.command
def schema() -> None:
    """Print the JSON Schema of tenant documents."""
    click.echo(json.dumps(tenant_schema(), indent=2, ensure_ascii=False))


async def _transact(settings: Settings, work: Callable[[PlatformStore], T]) -> T:
    from app.main import open_service

    async with open_service(settings) as service:
        return await service.platform.transact(work)


def _read_all(source: Path, settings: Settings) -> list[tuple[Path, TenantDocument]]:
    """Read every document, or print what is wrong with all of them and exit with 1."""
    files = sorted(file for file in source.iterdir() if file.suffix in _SUFFIXES) if source.is_dir() else [source]
    if not files:
        raise click.ClickException(f"{source}: there is no document ({', '.join(_SUFFIXES)}) in this folder")
    surroundings = Surroundings(settings.public_url, settings.demo)
    documents: list[tuple[Path, TenantDocument]] = []
    failed = False
    for file in files:
        with file.open("rb") as stream:
            validated = validate_document(stream.read(MAX_OCTETS + 1), surroundings)
        for problem in validated.problems:
            click.echo(_line(file, problem), err=True)
        if validated.document is None:
            failed = True
            continue
        slug = validated.document.tenant.slug
        for other, document in documents:
            if document.tenant.slug == slug:
                click.echo(f"{file}: error at tenant.slug: {other} is the document of {slug} already", err=True)
                failed = True
        documents.append((file, validated.document))
    if failed:
        raise click.exceptions.Exit(1)
    return documents


def _line(file: Path, problem: Problem) -> str:
    where = f" at {problem.path}" if problem.path else ""
    return f"{file}:{problem.line}:{problem.column}: {problem.severity}{where}: {problem.message} — {problem.hint}"
