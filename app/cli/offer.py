"""`vestibule offer`: credential offers by value for the authorization code flow (OpenID4VCI §4.1)."""

import asyncio
import io
from pathlib import Path

import click
import msgspec
import segno

from app.cli import Invocation
from app.main import open_service
from app.protocol.offer import ISSUER_STATE_LIFETIME, credential_offer, offer_link
from app.protocol.refusal import Refusal
from app.protocol.request import enabled_configuration
from app.settings import Settings


@click.command
@click.argument("tenant")
@click.argument("configurations", metavar="CONFIGURATION...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the offer object only.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Also write the QR code to this file.")
@click.pass_obj
def offer(
    invocation: Invocation, tenant: str, configurations: tuple[str, ...], as_json: bool, png: Path | None
) -> None:
    """Offer credentials of TENANT to a wallet: prints the link and its QR code.

    The offer can be taken up once, within seven days.
    """
    made = asyncio.run(_offer(invocation.settings, tenant, configurations))
    if as_json:
        click.echo(msgspec.json.encode(made))
        return
    link = offer_link(made)
    code = segno.make(link, error="l")
    drawing = io.StringIO()
    code.terminal(out=drawing, compact=True, border=2)
    click.echo(link)
    click.echo(drawing.getvalue(), nl=False)
    click.echo(f"Can be taken up once, within {ISSUER_STATE_LIFETIME // 86_400} days.")
    if png is not None:
        code.save(str(png), scale=6)
        click.echo(f"QR code written to {png}")


async def _offer(settings: Settings, slug: str, configurations: tuple[str, ...]) -> dict[str, object]:
    async with open_service(settings) as service:
        tenancy = await service.tenancies.by_slug(slug)
        if tenancy is None:
            raise Refusal("unknown_tenant", "There is no such tenant.", reason=f"There is no tenant {slug!r}.")
        known = [name for name in tenancy.document.credentials if enabled_configuration(tenancy.document, name)]
        unknown = [name for name in configurations if name not in known]
        if unknown:
            reason = f"{slug} does not issue {', '.join(unknown)}; it issues {', '.join(known)}."
            raise Refusal("unknown_credential_configuration", "There is no such credential.", reason=reason)
        return credential_offer(tenancy.issuer, configurations, issuer_state=tenancy.fresh_nonce("issuer_state"))
