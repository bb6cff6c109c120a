"""The wallet of `vestibule wallet`, set up for the test service."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from cryptography import x509

from app.adapters.system import SystemEntropy
from app.wallet.authorization import By
from app.wallet.forms import LoginDriver
from app.wallet.http import Exchange, Http
from app.wallet.journey import Wallet
from app.wallet.offer import CredentialOffer
from app.wallet.store import Store, StoredCredential
from app.wallet.verification import Verified
from tests.support.raw_wallet import PASSWORD, REDIRECT_URI, USERNAME
from tests.support.server import RunningServer


@contextmanager
def wallet_http(observe: Callable[[Exchange], None], trusting: ssl.SSLContext | None = None) -> Iterator[Http]:
    """The wallet's HTTP, with connections that are closed in the end."""
    with httpx2.HTTPTransport(verify=trusting or True) as transport:
        yield Http(observe, transport=transport)


def trust_anchor(server: RunningServer) -> x509.Certificate:
    """The development CA of `pid-provider`, as an operator hands it out."""
    keys = server.store(lambda store: store.signing_keys.all())
    [ca] = [key for key in keys if key.purpose == "development_ca"]
    return x509.load_der_x509_certificate(ca.certificate_chain[0])


def get_credentials(
    server: RunningServer,
    folder: Path,
    offer: CredentialOffer,
    *,
    by: By = "scope",
    trusting: ssl.SSLContext | None = None,
    exchanges: list[Exchange] | None = None,
) -> list[tuple[StoredCredential, Verified]]:
    """Get what an offer names, with Erika at the browser."""
    seen = [] if exchanges is None else exchanges
    with wallet_http(seen.append, trusting) as http, wallet_http(seen.append, trusting) as browsing:
        wallet = Wallet(
            http=http,
            store=Store(folder),
            client_id="demo-wallet",
            anchors=[trust_anchor(server)],
            now=server.clock.now,
            random=SystemEntropy().octets,
        )
        erika = LoginDriver(browsing, USERNAME, PASSWORD, REDIRECT_URI)
        return list(wallet.get(offer, by=by, redirect_uri=REDIRECT_URI, person=erika))
