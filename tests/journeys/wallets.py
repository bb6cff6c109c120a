"""The wallet of `vestibule wallet`, set up for the test service."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from cryptography import x509

from app.adapters.system import SystemEntropy
from app.wallet.forms import Login, PageDriver
from app.wallet.http import Exchange, Http
from app.wallet.journey import Choices, Person, Wallet
from app.wallet.offer import CredentialOffer
from app.wallet.presenting import Agree
from app.wallet.store import Store, StoredCredential
from app.wallet.verification import Verified
from tests.support.raw_wallet import PASSWORD, REDIRECT_URI, USERNAME
from tests.support.server import RunningServer


@contextmanager
def wallet_http(observe: Callable[[Exchange], None], trusting: ssl.SSLContext | None = None) -> Iterator[Http]:
    """The wallet's HTTP, with connections that are closed in the end."""
    with httpx2.HTTPTransport(verify=trusting or True) as transport:
        yield Http(observe, transport=transport)


def trust_anchor(server: RunningServer, slug: str = "pid-provider") -> x509.Certificate:
    """The development CA of a tenant, as an operator hands it out."""
    keys = server.store(lambda store: store.signing_keys.all(), slug)
    [ca] = [key for key in keys if key.purpose == "development_ca"]
    return x509.load_der_x509_certificate(ca.certificate_chain[0])


def get_credentials(
    server: RunningServer,
    folder: Path,
    offer: CredentialOffer,
    *,
    choices: Choices = Choices(),  # noqa: B008 - it cannot be changed
    agree: Agree = lambda verifier, showings: True,
    trusting: ssl.SSLContext | None = None,
    exchanges: list[Exchange] | None = None,
) -> list[tuple[StoredCredential, Verified]]:
    """Get what an offer names, with Erika at the browser, who presents what she is asked for unless told otherwise."""
    seen = [] if exchanges is None else exchanges
    with wallet_http(seen.append, trusting) as http, wallet_http(seen.append, trusting) as browsing:
        wallet = Wallet(
            http=http,
            store=Store(folder),
            client_id="demo-wallet",
            anchors=[trust_anchor(server, offer.credential_issuer.rpartition("/")[2])],
            now=server.clock.now,
            random=SystemEntropy().octets,
        )
        driver = PageDriver(browsing, REDIRECT_URI, Login(USERNAME, PASSWORD))
        erika = Person(redirect_uri=REDIRECT_URI, browse=driver, agree=agree)
        return list(wallet.get(offer, choices, erika))
