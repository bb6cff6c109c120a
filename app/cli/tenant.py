"""`vestibule tenant`: validate, apply, compare, show and export tenant documents."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import click
import msgspec

from app.cli import Invocation
from app.cli.documents import read_documents
from app.document.model import TenantDocument
from app.document.presentation import JwksTrust, TenantTrust, Trust, X509Trust
from app.document.schema import tenant_schema
from app.document.writer import dump
from app.records import TenantHead
from app.settings import Settings
from app.storage import PlatformStore
from app.tenancy import issuer_identifier

T = TypeVar("T")

DIFFERENT: Final = 4
"""Exit code of `diff` where there is a difference; 1 means, as everywhere, that something was refused."""

_SOURCE = click.argument("source", type=click.Path(path_type=Path, exists=True), metavar="FILE|DIR")


@click.group
def tenant() -> None:
    """Validate, apply, compare, show and export tenant documents."""


@tenant.command
@_SOURCE
@click.pass_obj
def validate(invocation: Invocation, source: Path) -> None:
    """Find everything that is wrong, odd or good to know about a document, or all of a folder. Needs no database."""
    for file, document in read_documents(source, invocation.settings, notes=True):
        click.echo(f"{file}: {document.tenant.slug} is valid")


@tenant.command
@_SOURCE
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@click.pass_obj
def apply(invocation: Invocation, source: Path, *, dry_run: bool) -> None:
    """Make tenants, or change them, from a document or from all of a folder.

    Where any document is wrong, nothing is applied. Applying the same document again changes nothing, unless a tenant
    it trusts has another authority now. Trusted tenants are applied before those that trust them.
    """
    documents = read_documents(source, invocation.settings)
    asyncio.run(_apply(invocation.settings, [document for _, document in documents], dry_run=dry_run))


async def _apply(settings: Settings, documents: list[TenantDocument], *, dry_run: bool) -> None:
    from app.main import open_service
    from app.provisioning.apply import apply_documents

    async with open_service(settings) as service:
        async for applied in apply_documents(
            service.platform,
            service.key_maker,
            service.passwords,
            service.clock,
            service.entropy,
            documents,
            public_url=settings.public_url,
            dry_run=dry_run,
        ):
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


@tenant.command
@_SOURCE
@click.pass_obj
def diff(invocation: Invocation, source: Path) -> None:
    """Show how a document, or all of a folder, differ from what is stored, as a unified diff.

    Passwords are never shown, only whether they are others. Exit codes: 0 no difference, 4 differences.
    """
    documents = [document for _, document in read_documents(source, invocation.settings)]
    if asyncio.run(_diff(invocation.settings, documents)):
        raise click.exceptions.Exit(DIFFERENT)


async def _diff(settings: Settings, documents: list[TenantDocument]) -> bool:
    from app.main import open_service
    from app.provisioning.export import difference

    coming = {document.tenant.slug for document in documents}
    different = False
    async with open_service(settings) as service:
        for document in documents:
            lines = await difference(
                service.platform, service.passwords, document, public_url=settings.public_url, coming=coming
            )
            different = different or bool(lines)
            for line in lines:
                click.echo(line)
    return different


@tenant.command(name="list")
@click.pass_obj
def list_tenants(invocation: Invocation) -> None:
    """List the tenants."""
    settings = invocation.settings
    heads = asyncio.run(_transact(settings, lambda store: store.tenants()))
    width = max((len(head.slug) for head in heads), default=0)
    for head in heads:
        issuer = issuer_identifier(head.slug, origin=head.origin, public_url=settings.public_url)
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
        sequence = document.sequences[configuration.sequence]
        steps = ", ".join(step.id for step in sequence.steps)
        binding = f"; holder binding: {sequence.holder_binding}" if sequence.holder_binding else ""
        state = "" if configuration.enabled else "; disabled"
        click.echo(f"credential  {name} ({configuration.format}, {configuration.vct}; steps: {steps}{binding}{state})")
    for name, trust in document.trust.items():
        click.echo(f"trust       {name} ({_trusted(trust)})")
    for client in document.clients.registered:
        click.echo(f"client      {client.client_id} ({client.name}{'' if client.active else ', inactive'})")
    click.echo(
        f"others      {'accepted' if document.clients.unknown_public else 'refused'} (public clients not listed)"
    )
    click.echo(f"users       {people}")


def _trusted(trust: Trust) -> str:
    match trust:
        case X509Trust():
            return f"{len(trust.anchors)} x509 anchors, {len(trust.issuers) if trust.issuers else 'all'} issuers"
        case JwksTrust():
            return f"keys of {trust.issuer}"
        case TenantTrust():
            return f"tenant {trust.tenant}, {trust.resolved.issuer if trust.resolved else 'not looked up'}"


@tenant.command
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="As JSON; else as YAML.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file, which only its owner can read; else standard output.",
)
@click.pass_obj
def export(invocation: Invocation, slug: str, *, as_json: bool, output: Path | None) -> None:
    """Write a tenant's document so that it can be applied again.

    It holds personal data: everybody who can sign in, with their claims and the hashes of their passwords.
    """
    from app.provisioning.export import export as export_document

    document = asyncio.run(_transact(invocation.settings, lambda store: export_document(store, slug)))
    tree = msgspec.to_builtins(document)
    text = json.dumps(tree, indent=2, ensure_ascii=False) + "\n" if as_json else dump(tree)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be made: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


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
