"""`vestibule serve`: the service."""

import click

from app.cli import Invocation


@click.command
@click.option("--public-url", help="What wallets see, for example https://issuer.example.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", help="Port to listen on; 0 picks a free one.")
@click.option("--tls-certificate", type=click.Path(exists=True, dir_okay=False, resolve_path=True), help="PEM chain.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, resolve_path=True), help="PEM private key.")
@click.option("--trusted-proxies", help="Addresses or networks whose X-Forwarded headers are believed, with commas.")
@click.option("--graceful-shutdown", help="Seconds that running requests get to finish.")
@click.pass_obj
def serve(
    invocation: Invocation,
    public_url: str | None,
    host: str | None,
    port: str | None,
    tls_certificate: str | None,
    tls_key: str | None,
    trusted_proxies: str | None,
    graceful_shutdown: str | None,
) -> None:
    """Run the service until it is told to stop (SIGINT, SIGTERM)."""
    options = {
        "public_url": public_url,
        "server.host": host,
        "server.port": port,
        "server.tls_certificate": tls_certificate,
        "server.tls_key": tls_key,
        "server.trusted_proxies": trusted_proxies,
        "server.graceful_shutdown": graceful_shutdown,
    }
    settings = invocation.load(options).settings
    # Imported here: the service is most of what there is to import.
    from app.adapters.logs import configure_logging
    from app.adapters.server import run_server
    from app.main import build

    configure_logging(settings.log)
    run_server(build(settings), settings)
