"""Opaque values in each other's places: a value is worth something in its own place only, and stays what it was."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from app.main import Service
from tests.http.issued import assert_refused
from tests.http.refusals import assert_kept, assert_oauth_refused
from tests.support.raw_wallet import Browser, RawWallet, redirect_parameters
from tests.support.server import RunningServer


@dataclass
class Artefacts:
    """One of each kind, all alive and unspent."""

    wallet: RawWallet
    browser: Browser
    values: dict[str, str]


async def _issuer_state(service: Service) -> str:
    tenancy = await service.tenancies.by_slug("pid-provider")
    assert tenancy is not None
    return tenancy.fresh_nonce("issuer_state")


@pytest.fixture
def artefacts(server: RunningServer, wallet: RawWallet, browser: Browser) -> Artefacts:
    """One of each kind."""
    access_token = wallet.access_token()
    c_nonce = wallet.c_nonce()
    values = {
        "code": wallet.code(),
        "access token": access_token,
        "request_uri": wallet.push().json()["request_uri"],
        "issuer_state": server.beside(_issuer_state),
        "c_nonce": c_nonce,
        "DPoP nonce of the server": wallet.nonces["as"],
        "DPoP nonce of the resource": wallet.nonces["resource"],
    }
    values["request_uri's handle"] = values["request_uri"].rpartition(":")[2]
    return Artefacts(wallet, browser, values)


def _as_code(own: Artefacts, value: str) -> None:
    assert_oauth_refused(own.wallet.exchange(value), 400, "invalid_grant")


def _as_request_uri(own: Artefacts, value: str) -> None:
    for sent in {value, f"urn:ietf:params:oauth:request_uri:{value}"} - {own.values["request_uri"]}:
        query = urlencode({"client_id": own.wallet.client_id, "request_uri": sent})
        page = own.browser.get(f"{own.wallet.issuer}/authorize?{query}")
        assert page.status_code == 400
        assert page.headers["content-type"].startswith("text/html")
        assert "location" not in page.headers
        assert value not in page.text


def _as_issuer_state(own: Artefacts, value: str) -> None:
    assert_oauth_refused(own.wallet.push({"issuer_state": value}), 400, "invalid_request")


def _as_server_nonce(own: Artefacts, value: str) -> None:
    assert_oauth_refused(own.wallet.push(dpop={"nonce": value}), 400, "use_dpop_nonce")


def _as_resource_nonce(own: Artefacts, value: str) -> None:
    proofs = {"jwt": [own.wallet.key_proof(own.values["c_nonce"])]}
    answer = own.wallet.credential(own.values["access token"], {"proofs": proofs}, dpop={"nonce": value})
    assert_refused(answer, 401, "use_dpop_nonce")


def _as_c_nonce(own: Artefacts, value: str) -> None:
    proofs = {"jwt": [own.wallet.key_proof(value)]}
    assert_refused(own.wallet.credential(own.values["access token"], {"proofs": proofs}), 400, "invalid_nonce")


def _as_access_token(own: Artefacts, value: str) -> None:
    proofs = {"jwt": [own.wallet.key_proof(own.values["c_nonce"])]}
    for scheme in ("DPoP", "Bearer"):
        assert_refused(own.wallet.credential(value, {"proofs": proofs}, scheme=scheme), 401, "invalid_token")


PLACES: dict[str, Callable[[Artefacts, str], None]] = {
    "code": _as_code,
    "request_uri": _as_request_uri,
    "issuer_state": _as_issuer_state,
    "DPoP nonce of the server": _as_server_nonce,
    "DPoP nonce of the resource": _as_resource_nonce,
    "c_nonce": _as_c_nonce,
    "access token": _as_access_token,
}


@pytest.mark.rule("C-18")
@pytest.mark.parametrize("place", PLACES)
def test_every_value_in_every_other_place(artefacts: Artefacts, place: str) -> None:
    for kind, value in artefacts.values.items():
        if kind != place:
            PLACES[place](artefacts, value)
    _assert_all_alive(artefacts)


def _assert_all_alive(own: Artefacts) -> None:
    wallet, values = own.wallet, own.values
    state = {"issuer_state": values["issuer_state"]}
    assert wallet.push(state, dpop={"nonce": values["DPoP nonce of the server"]}).status_code == 201
    proofs = {"jwt": [wallet.key_proof(values["c_nonce"])]}
    nonce = {"nonce": values["DPoP nonce of the resource"]}
    answer = wallet.credential(values["access token"], {"proofs": proofs}, dpop=nonce)
    assert answer.status_code == 200, answer.text
    query = urlencode({"client_id": wallet.client_id, "request_uri": values["request_uri"]})
    assert "code" in redirect_parameters(own.browser.walk(f"{wallet.issuer}/authorize?{query}"))
    assert_kept(wallet, values["code"])
