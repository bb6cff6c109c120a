"""`vestibule keys`: a tenant's keys."""

import asyncio
from pathlib import Path

import click
from msgspec import Struct

from app.cli import Invocation
from app.cli.dates import day
from app.cli.progress import telling
from app.jobs.rotate import Rotation, rewrap_data_keys, rotate_data_key
from app.protocol.refusal import Refusal
from app.provisioning import tenant_of
from app.provisioning.keys import in_use, retire_key, rotate_access_token_key, rotate_development_credential_key
from app.records import DataKeyHead, SigningKey
from app.settings import Settings
from app.storage import PlatformStore

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group
def keys() -> None:
    """List, import, export, rotate and retire keys."""


@keys.command(name="list")
@click.argument("tenant")
@click.pass_obj
def list_keys(invocation: Invocation, tenant: str) -> None:
    """List a tenant's signing keys, retired ones included, its data keys, and the master keys."""
    listed = asyncio.run(_keys(invocation.settings, tenant))
    signing = in_use(listed.signing_keys)
    for key in listed.signing_keys:
        state = "active" if key.retired_at is None else f"retired {day(key.retired_at)}"
        made = f"{key.origin} {day(key.created_at)}"
        state = "in use" if key.key_id in signing else state
        click.echo(f"{key.key_id}  {key.purpose:<14}  {key.algorithm}  {made}  {state}")
    for data_key in listed.data_keys:
        state = "in use" if data_key is listed.data_keys[-1] else "kept"
        made = f"wrapped by {data_key.master_key_id}  {day(data_key.created_at)}"
        click.echo(f"{data_key.number:<43}  {'data':<14}  AES-256-GCM  {made}  {state}")
    for place, identifier in enumerate(listed.master_keys):
        click.echo(f"{identifier:<43}  {'master':<14}  AES-256-GCM  {'unwraps' if place else 'in use'}")


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

    authorities = development_authorities(asyncio.run(_keys(invocation.settings, tenant)).signing_keys)
    if not authorities:
        raise Refusal("no_anchor", "Credentials are signed with an imported key; its authority has the anchor.")
    click.echo("".join(authorities), nl=False)


@keys.command
@click.argument("tenant")
@click.option("--purpose", type=click.Choice(["access-token", "credential", "data"]), required=True)
@click.pass_obj
def rotate(invocation: Invocation, tenant: str, purpose: str) -> None:
    """Give a tenant a new key for a purpose, while the service serves.

    access-token: signs access tokens. credential: signs credentials, with a new development CA above it. Older ones are
    trusted until `keys retire`. data: seals what is stored, which is sealed anew; an interrupted run is finished by
    running it again.
    """
    match purpose:
        case "access-token":
            key = asyncio.run(_rotate_access_tokens(invocation.settings, tenant))
            click.echo(f"{tenant}: access tokens are signed with {key.key_id} from now on")
        case "credential":
            key = asyncio.run(_rotate_credentials(invocation.settings, tenant))
            click.echo(f"{tenant}: credentials are signed with {key.key_id} from now on, under a new development CA")
            click.echo(f"apply the tenants again that trust {tenant}, and give wallets the new `keys anchor {tenant}`")
        case _:
            _tell_rotation(tenant, asyncio.run(_rotate_data(invocation.settings, tenant)))


def _tell_rotation(tenant: str, done: Rotation) -> None:
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


# A key's identifier is base64url and may begin with a hyphen, which would make it an option.
@keys.command(context_settings={"ignore_unknown_options": True})
@click.argument("tenant")
@click.argument("key_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def retire(invocation: Invocation, tenant: str, key_id: str, *, yes: bool) -> None:
    """Trust a signing key no more; the key that signs now is refused.

    Access tokens it signed are refused from now on. A retired development CA is trusted by no tenant that is applied
    from now on; who got its certificate by other ways has to drop it.
    """
    if not yes:
        click.confirm(f"Trust {key_id} of {tenant} no more?", abort=True)
    key = asyncio.run(_retire(invocation.settings, tenant, key_id))
    click.echo(f"{tenant}: {key.purpose} key {key.key_id} is retired")


@keys.command
@click.pass_obj
def rewrap(invocation: Invocation) -> None:
    """Wrap the data keys of all tenants by the first master key; then older master keys can be taken off the list."""
    click.echo(f"data keys wrapped anew: {asyncio.run(_rewrap(invocation.settings))}")


class _Listed(Struct, frozen=True):
    """All keys a tenant's data and signatures hang on."""

    signing_keys: list[SigningKey]
    data_keys: list[DataKeyHead]
    master_keys: list[str]


async def _keys(settings: Settings, tenant: str) -> _Listed:
    from app.main import open_service

    def look(store: PlatformStore) -> _Listed:
        tenant_id = tenant_of(store, tenant).tenant_id
        return _Listed(store.tenant(tenant_id).signing_keys.all(), store.data_keys(tenant_id), store.master_keys())

    async with open_service(settings) as service:
        return await service.platform.transact(look)


async def _rotate_access_tokens(settings: Settings, tenant: str) -> SigningKey:
    from app.main import open_service

    async with open_service(settings) as service:
        return await rotate_access_token_key(
            service.platform, service.key_maker, service.clock, service.entropy, tenant
        )


async def _rotate_credentials(settings: Settings, tenant: str) -> SigningKey:
    from app.main import open_service

    async with open_service(settings) as service:
        return await rotate_development_credential_key(
            service.platform,
            service.key_maker,
            service.clock,
            service.entropy,
            tenant,
            public_url=settings.public_url,
        )


async def _rotate_data(settings: Settings, tenant: str) -> Rotation:
    from app.main import open_service

    tell = telling("values resealed so far")
    async with open_service(settings) as service:
        return await rotate_data_key(
            service.platform, service.database, service.clock, service.entropy, tenant, tell=tell
        )


async def _retire(settings: Settings, tenant: str, key_id: str) -> SigningKey:
    from app.main import open_service

    async with open_service(settings) as service:
        return await retire_key(service.platform, service.clock, service.entropy, tenant, key_id)


async def _rewrap(settings: Settings) -> int:
    from app.main import open_service

    async with open_service(settings) as service:
        return await rewrap_data_keys(service.platform, telling("data keys wrapped anew so far"))


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
