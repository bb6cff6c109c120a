"""`vestibule serve`: the service."""

import socket

import click

from app.cli import Invocation
from app.settings import Settings


@click.command
@click.option("--public-url", help="What wallets see, for example https://issuer.example.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", help="Port to listen on; 0 picks a free one.")
@click.option("--tls-certificate", type=click.Path(exists=True, dir_okay=False, resolve_path=True), help="PEM chain.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, resolve_path=True), help="PEM private key.")
@click.option("--trusted-proxies", help="Addresses or networks whose X-Forwarded headers are believed, with commas.")
@click.option("--graceful-shutdown", help="Seconds that running requests get to finish.")
@click.option("--workers", help="Processes that serve; more than 1 needs PostgreSQL.")
@click.option("--worker-of-socket", type=int, hidden=True)
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
    workers: str | None,
    worker_of_socket: int | None,
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
        "server.workers": workers,
    }
    settings = invocation.load(options).settings
    # Imported here: the service is most of what there is to import.
    from app.adapters.logs import configure_logging
    from app.adapters.metrics_server import serving_metrics

    configure_logging(settings.log)
    if worker_of_socket is not None:
        _work(settings, socket.socket(fileno=worker_of_socket))
        return
    with serving_metrics(settings):
        if settings.server.workers > 1:
            from app.adapters.workers import run_workers

            run_workers(settings)
        else:
            from app.adapters.server import run_server
            from app.main import build

            run_server(build(settings), settings)


def _work(settings: Settings, shared: socket.socket) -> None:
    from app.adapters.server import run_server
    from app.adapters.workers import become_worker
    from app.main import build

    run_server(build(settings), settings, shared=shared, on_serving=become_worker)
