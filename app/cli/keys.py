"""`vestibule keys`: a tenant's keys."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import click

from app.cli import Invocation
from app.protocol.refusal import Refusal
from app.records import SigningKey
from app.settings import Settings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group
def keys() -> None:
    """List, import and export a tenant's keys."""


@keys.command(name="list")
@click.argument("tenant")
@click.pass_obj
def list_keys(invocation: Invocation, tenant: str) -> None:
    """List a tenant's keys, retired ones included."""
    for key in asyncio.run(_keys(invocation.settings, tenant)):
        state = "active" if key.retired_at is None else f"retired {_moment(key.retired_at)}"
        made = f"{key.origin} {_moment(key.created_at)}"
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
    found = asyncio.run(_keys(invocation.settings, tenant))
    if any(key.purpose == "credential" and key.origin == "imported" and key.retired_at is None for key in found):
        raise Refusal("no_anchor", "Credentials are signed with an imported key; its authority has the anchor.")
    for key in found:
        if key.purpose == "development_ca" and key.retired_at is None:
            click.echo(ssl.DER_cert_to_PEM_cert(key.certificate_chain[0]), nl=False)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


async def _keys(settings: Settings, tenant: str) -> list[SigningKey]:
    from app.main import open_service
    from app.provisioning import tenant_of

    async with open_service(settings) as service:
        return await service.platform.transact(
            lambda store: store.tenant(tenant_of(store, tenant).tenant_id).signing_keys.all()
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
