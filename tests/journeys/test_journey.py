"""Whole journeys over real sockets, on either database."""

from pathlib import Path

import pytest

from app.main import Service
from app.protocol import offer
from app.wallet.authorization import By
from app.wallet.errors import ServerRefused
from app.wallet.journey import Choices, Via
from app.wallet.offer import CredentialOffer, read_offer
from tests.journeys.wallets import get_credentials, wallet_http
from tests.support.server import RunningServer

ERIKA = {
    "given_name": "Erika",
    "family_name": "Mustermann",
    "birthdate": "1964-08-12",
    "address": {"locality": "Köln"},
    "issuing_country": "DE",
}


@pytest.mark.parametrize("via", ["par", "interactive"])
@pytest.mark.parametrize("by", ["scope", "details"])
def test_the_wallet_gets_and_verifies_a_credential(
    either_server: RunningServer, tmp_path: Path, by: By, via: Via
) -> None:
    wanted = CredentialOffer(either_server.issuer(), ("pid",))
    [(stored, verified)] = get_credentials(either_server, tmp_path, wanted, choices=Choices(by=by, via=via))
    assert verified.anchored
    assert verified.claims == ERIKA
    assert stored.credential_issuer == either_server.issuer()


def test_one_errand_gets_two_credentials(either_server: RunningServer, tmp_path: Path) -> None:
    wanted = CredentialOffer(either_server.issuer(), ("pid", "residence"))
    pid, residence = get_credentials(either_server, tmp_path, wanted, choices=Choices(by="details"))
    assert pid[1].claims == ERIKA
    assert residence[1].claims == {"address": {"locality": "Köln"}}
    assert pid[0].holder_key != residence[0].holder_key


def test_an_offer_is_taken_up_once(either_server: RunningServer, tmp_path: Path) -> None:
    async def make(service: Service) -> str:
        tenancy = await service.tenancies.by_slug("pid-provider")
        assert tenancy is not None
        state = tenancy.fresh_nonce("issuer_state")
        return offer.offer_link(offer.credential_offer(tenancy.issuer, ["pid"], issuer_state=state))

    link = either_server.beside(make)
    with wallet_http(lambda _: None) as http:
        taken = read_offer(link, http)
    [(_, verified)] = get_credentials(either_server, tmp_path, taken)
    assert verified.claims == ERIKA
    with pytest.raises(ServerRefused, match="issuer_state"):
        get_credentials(either_server, tmp_path, taken)


def test_a_wallet_walks_alone_and_gets_five_credentials(either_server: RunningServer) -> None:
    with either_server.wallet() as wallet:
        token = wallet.access_token()
        statuses = [wallet.credential(token).status_code for _ in range(5)]
        assert statuses == [200] * 5
        assert wallet.credential(token).status_code >= 400
