"""The demonstration wallet at the interactive endpoint: a PID first, then what is issued to who presents it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.main import Service
from app.protocol import offer
from app.wallet.answers import Dialect
from app.wallet.errors import ServerRefused, WalletRefused
from app.wallet.http import Exchange
from app.wallet.journey import Choices
from app.wallet.offer import CredentialOffer, read_offer
from app.wallet.presenting import Showing
from app.wallet.store import StoredCredential
from app.wallet.verification import Verified
from tests.journeys.wallets import get_credentials, wallet_http
from tests.support.database import KINDS
from tests.support.documents import document, university
from tests.support.served import serving
from tests.support.server import RunningServer

PERSON = {"given_name": "Erika", "family_name": "Mustermann", "birthdate": "1964-08-12"}


@pytest.fixture(scope="module", params=KINDS)
def campus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The provider of the PID, and the university that takes it."""
    folder = tmp_path_factory.mktemp("campus")
    with serving(request, request.param, folder, document(), university()) as running:
        yield running


def pid(server: RunningServer, folder: Path) -> StoredCredential:
    [(stored, _)] = get_credentials(server, folder, CredentialOffer(server.issuer(), ("pid",)))
    return stored


def card(
    server: RunningServer, folder: Path, name: str, choices: Choices, **options: Any
) -> tuple[StoredCredential, Verified]:
    wanted = CredentialOffer(server.issuer("university"), (name,))
    [got] = get_credentials(server, folder, wanted, choices=choices, **options)
    return got


@pytest.mark.parametrize("dialect", ["urn", "bare"])
def test_a_diploma_for_who_presents_a_pid(campus: RunningServer, tmp_path: Path, dialect: Dialect) -> None:
    presented = pid(campus, tmp_path)
    shown: list[tuple[str, Any]] = []

    def agree(verifier: str, showings: Sequence[Showing]) -> bool:
        shown.extend((verifier, showing.claims) for showing in showings)
        return True

    stored, verified = card(campus, tmp_path, "diploma", Choices(dialect=dialect), agree=agree)
    assert verified.anchored
    assert verified.claims == {**PERSON, "degree": "Master of Science"}
    # What can be withheld and was not asked for stayed in the wallet: of the address, all but that there is one.
    assert shown == [(campus.issuer("university"), {**PERSON, "issuing_country": "DE", "address": {}})]
    # The issuer demands the presented key, and the wallet uses it unasked.
    assert stored.holder_key == presented.holder_key


@pytest.mark.parametrize("dialect", ["urn", "bare"])
def test_a_student_card_without_a_browser(campus: RunningServer, tmp_path: Path, dialect: Dialect) -> None:
    pid(campus, tmp_path)
    exchanges: list[Exchange] = []
    _, verified = card(campus, tmp_path, "student-card", Choices(dialect=dialect), exchanges=exchanges)
    assert verified.claims == {
        "given_name": "Erika",
        "family_name": "Mustermann",
        "university": "University",
    }
    assert not any("/authorize" in exchange.url for exchange in exchanges)


def test_a_diploma_for_another_key_where_that_is_allowed(campus: RunningServer, tmp_path: Path) -> None:
    presented = pid(campus, tmp_path)
    stored, verified = card(campus, tmp_path, "diploma-unlinked", Choices(holder_key="new"))
    assert verified.claims == {**PERSON, "degree": "Master of Science"}
    assert stored.holder_key != presented.holder_key
    # And not where it is not.
    with pytest.raises(ServerRefused):
        card(campus, tmp_path, "diploma", Choices(holder_key="new"))


def test_an_offer_of_a_diploma_is_taken_up_once(campus: RunningServer, tmp_path: Path) -> None:
    async def make(service: Service) -> str:
        tenancy = await service.tenancies.by_slug("university")
        assert tenancy is not None
        state = tenancy.fresh_nonce("issuer_state")
        return offer.offer_link(offer.credential_offer(tenancy.issuer, ["diploma"], issuer_state=state))

    pid(campus, tmp_path)
    with wallet_http(lambda _: None) as http:
        taken = read_offer(campus.beside(make), http)
    [(_, verified)] = get_credentials(campus, tmp_path, taken)
    assert verified.claims == {**PERSON, "degree": "Master of Science"}
    with pytest.raises(ServerRefused, match="issuer_state"):
        get_credentials(campus, tmp_path, taken)


def test_what_stops_it(campus: RunningServer, tmp_path: Path) -> None:
    with pytest.raises(WalletRefused, match="urn:eudi:pid:1 with given_name, family_name, birthdate; get that first"):
        card(campus, tmp_path, "diploma", Choices())
    pid(campus, tmp_path)
    with pytest.raises(WalletRefused, match="interactively only"):
        card(campus, tmp_path, "diploma", Choices(via="par"))
    exchanges: list[Exchange] = []
    with pytest.raises(WalletRefused, match="declined"):
        card(campus, tmp_path, "diploma", Choices(), agree=lambda verifier, showings: False, exchanges=exchanges)
    # The service was told, and the session is over.
    assert exchanges[-1].error() == ("access_denied", exchanges[-1].json_object()["error_description"])
