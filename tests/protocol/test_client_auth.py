"""Which client sends a request: the method `none`."""

import msgspec
import pytest

from app.document.model import Client, Clients, UnknownPublicClients
from app.protocol.client_auth import AuthenticatedClient, authenticate, recognize, sent_client_id
from app.protocol.refusal import Refusal

URI = "https://wallet.example/cb"
ANYBODYS = "https://anybody.example/cb"
REGISTERED = Client(client_id="demo-wallet", name="Demo", redirect_uris=[URI])
RETIRED = Client(client_id="demo-wallet", name="Demo", redirect_uris=[URI], active=False)
NOBODY = Clients()
CLOSED = Clients(registered=[REGISTERED])
OPEN = Clients(registered=[REGISTERED], unknown_public=UnknownPublicClients(redirect_uris=[ANYBODYS]))
FORM = {"client_id": "demo-wallet"}


def refused_with(form: dict[str, str], *, header: bool = False, clients: Clients = CLOSED) -> Refusal:
    with pytest.raises(Refusal) as refused:
        authenticate(form, authorization_header=header, clients=clients)
    return refused.value


@pytest.mark.rule("PAR-01")
def test_a_registered_client_is_known_by_its_client_id() -> None:
    client = authenticate(FORM, authorization_header=False, clients=CLOSED)
    assert (client.client_id, client.name, client.redirect_uris, client.method) == (
        "demo-wallet",
        "Demo",
        [URI],
        "none",
    )


@pytest.mark.rule("PAR-04")
@pytest.mark.parametrize("form", [{}, {"client_id": ""}, {"Client_id": "demo-wallet"}])
def test_a_client_id_is_required(form: dict[str, str]) -> None:
    with pytest.raises(Refusal) as refused:
        sent_client_id(form)
    assert refused.value.code == "invalid_request"


@pytest.mark.rule("PAR-01", "O-10")
def test_every_failure_looks_the_same() -> None:
    failures = [
        refused_with(FORM, clients=NOBODY),
        refused_with(FORM, clients=Clients(registered=[RETIRED])),
        refused_with(FORM, header=True),
        refused_with({**FORM, "client_secret": "s"}),
        refused_with({**FORM, "client_assertion": "e30.e30."}),
        refused_with({**FORM, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}),
    ]
    assert {(failure.code, failure.public) for failure in failures} == {
        ("invalid_client", "Client authentication failed.")
    }


def test_unknown_wallets_come_in_only_where_the_tenant_says_so_and_go_back_only_where_it_says() -> None:
    client = recognize("nobody", OPEN)
    assert (client.client_id, client.name, client.redirect_uris) == ("nobody", None, [ANYBODYS])


@pytest.mark.rule("PAR-01", "O-07")
@pytest.mark.parametrize("client_id", ["x" * 256, "a wallet", "wall\u00e9t", "wallet\n", "a\u202eb"])
def test_an_unknown_wallet_has_no_name_that_a_registered_one_could_not_have(client_id: str) -> None:
    with pytest.raises(Refusal) as refused:
        recognize(client_id, OPEN)
    assert refused.value.code == "invalid_client"
    assert recognize("x" * 255, OPEN).client_id == "x" * 255


def test_to_know_a_client_is_not_to_have_it_authenticated() -> None:
    known = recognize("demo-wallet", CLOSED)
    authenticated = authenticate(FORM, authorization_header=False, clients=CLOSED)
    assert not isinstance(known, AuthenticatedClient)
    assert isinstance(authenticated, AuthenticatedClient)
    assert (authenticated.client_id, authenticated.redirect_uris) == (known.client_id, known.redirect_uris)


def test_a_retired_client_does_not_come_in_as_an_unknown_one() -> None:
    with pytest.raises(Refusal) as refused:
        recognize("demo-wallet", msgspec.structs.replace(OPEN, registered=[RETIRED]))
    assert refused.value.code == "invalid_client"


def test_a_registered_client_is_bound_to_its_own_redirect_uris() -> None:
    assert recognize("demo-wallet", OPEN).redirect_uris == [URI]
