"""`vestibule keys`: a tenant's keys."""

import asyncio
from pathlib import Path

import click

from app.cli import Invocation
from app.cli.dates import day
from app.cli.progress import telling
from app.jobs.rotate import Rotation, rotate_data_key
from app.protocol.refusal import Refusal
from app.records import SigningKey
from app.settings import Settings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group
def keys() -> None:
    """List, import, export and rotate a tenant's keys."""


@keys.command(name="list")
@click.argument("tenant")
@click.pass_obj
def list_keys(invocation: Invocation, tenant: str) -> None:
    """List a tenant's keys, retired ones included."""
    for key in asyncio.run(_keys(invocation.settings, tenant)):
        state = "active" if key.retired_at is None else f"retired {day(key.retired_at)}"
        made = f"{key.origin} {day(key.created_at)}"
        click.echo(f"{key.key_id}  {key.purpose:<14}  {key.algorithm}  {made}  {state}")


@keys.command(name="import")
@click.argument("tenant")
@click.option("--key", "key_file", type=_FILE, required=True, help="PEM: the private key, unencrypted.")
@click.option("--chain", "chain_file", type=_FILE, required=True, help="PEM: its certificates, without the anchor.")
@click.pass_obj
def import_key(invocation: Invocation, tenant: str, key_file: Path, chain_file: Path) -> None:
    """Sign a tenant's credentials with this key from now on.

    Keys that signed credentials before are retired; what they signed stays valid.
    """
    key = asyncio.run(_import(invocation.settings, tenant, key_file.read_bytes(), chain_file.read_bytes()))
    click.echo(f"{tenant}: credentials are signed with {key.key_id} from now on")


@keys.command
@click.argument("tenant")
@click.pass_obj
def anchor(invocation: Invocation, tenant: str) -> None:
    """Print the certificate of the tenant's development CA, which wallets and verifiers must trust, as PEM."""
    from app.provisioning.trust import development_authorities

    authorities = development_authorities(asyncio.run(_keys(invocation.settings, tenant)))
    if not authorities:
        raise Refusal("no_anchor", "Credentials are signed with an imported key; its authority has the anchor.")
    click.echo("".join(authorities), nl=False)


@keys.command(name="rotate-data")
@click.argument("tenant")
@click.pass_obj
def rotate_data(invocation: Invocation, tenant: str) -> None:
    """Seal a tenant's stored data under a new data key, while the service serves.

    An interrupted rotation is finished by running it again. Older data keys are kept.
    """
    done = asyncio.run(_rotate_data(invocation.settings, tenant))
    if done.added is None:
        click.echo(f"{tenant}: an earlier rotation is finished now; run it again for a new data key")
    else:
        click.echo(f"{tenant}: data key {done.added} is in use from now on")
    click.echo(f"values resealed: {done.resealed}")
    if done.broken:
        raise Refusal(
            "seal_broken",
            "Some values do not open.",
            reason=f"Values that do not open, left as they are: {done.broken}.",
        )
    click.echo("nothing is left under an older data key")


async def _keys(settings: Settings, tenant: str) -> list[SigningKey]:
    from app.main import open_service
    from app.provisioning import tenant_of

    async with open_service(settings) as service:
        return await service.platform.transact(
            lambda store: store.tenant(tenant_of(store, tenant).tenant_id).signing_keys.all()
        )


async def _rotate_data(settings: Settings, tenant: str) -> Rotation:
    from app.main import open_service

    tell = telling("values resealed so far")
    async with open_service(settings) as service:
        return await rotate_data_key(
            service.platform, service.database, service.clock, service.entropy, tenant, tell=tell
        )


async def _import(settings: Settings, tenant: str, key: bytes, chain: bytes) -> SigningKey:
    from app.main import open_service
    from app.provisioning import import_credential_key

    async with open_service(settings) as service:
        return await import_credential_key(
            service.platform,
            service.key_maker,
            service.clock,
            service.entropy,
            tenant,
            private_key_pem=key,
            chain_pem=chain,
        )
