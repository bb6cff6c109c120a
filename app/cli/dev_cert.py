"""`vestibule dev-cert`: TLS for development."""

from pathlib import Path

import click

from app.cli import Invocation


@click.command
@click.option("--host", "hosts", multiple=True, default=["localhost"], show_default=True, help="Name or IP address.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; else dev-cert in the data folder."
)
@click.option("--force", is_flag=True, help="Replace a server certificate that is there already.")
@click.pass_obj
def dev_cert(invocation: Invocation, hosts: tuple[str, ...], out: Path | None, *, force: bool) -> None:
    """Make a development CA and a server certificate signed by it.

    A CA that is there already is used again. Never trust this CA on another machine.
    """
    from app.adapters.development_certificates import make_development_certificate
    from app.adapters.system import SystemClock

    folder = out or invocation.settings.data_directory / "dev-cert"
    for file in make_development_certificate(folder, list(hosts), SystemClock(), force=force):
        click.echo(f"wrote {file}")
    click.echo(f"serve: vestibule serve --tls-certificate {folder}/server.pem --tls-key {folder}/server.key \\")
    host = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
    click.echo(f"         --public-url https://{host}:8000")
    click.echo(f"trust: {folder}/ca.pem (development only)")
