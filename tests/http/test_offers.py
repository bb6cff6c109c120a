"""Credential offers: what the command prints is what the service stands by, and `issuer_state` is good once.

This module's tests move the shared clock forward.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import vestibule
from app.main import Service
from app.protocol.nonce import NonceFamily
from tests.http.state import nothing_stored
from tests.support.documents import OTHER_SLUG
from tests.support.raw_wallet import Browser, RawWallet, error_of, redirect_parameters
from tests.support.server import MASTER_KEY, RunningServer

WEEK = 7 * 24 * 3600


def mint(server: RunningServer, slug: str = "pid-provider", family: NonceFamily = "issuer_state") -> str:
    """Return a server nonce of a tenant, by the service's clock."""

    async def call(service: Service) -> str:
        tenancy = await service.tenancies.by_slug(slug)
        assert tenancy is not None
        return tenancy.fresh_nonce(family)

    return server.beside(call)


def run(server: RunningServer, *arguments: str) -> Result:
    """Run `vestibule offer` on the server's database."""
    assert server.settings.database.url is not None
    environ = {
        "VESTIBULE_PUBLIC_URL": server.settings.public_url,
        "VESTIBULE_DATA_DIRECTORY": str(server.settings.data_directory),
        "VESTIBULE_DATABASE__URL": server.settings.database.url.reveal(),
        "VESTIBULE_SECRETS__MASTER_KEYS": MASTER_KEY,
    }
    return CliRunner().invoke(vestibule, ["offer", *arguments], env=environ)


@pytest.fixture
def other_wallet(server: RunningServer) -> Iterator[RawWallet]:
    """A wallet at the other tenant."""
    with server.wallet(OTHER_SLUG) as wallet:
        yield wallet


@pytest.mark.rule("OFR-03", "OFR-07", "OFR-14")
def test_the_command_offers_what_the_metadata_lists(server: RunningServer, wallet: RawWallet) -> None:
    result = run(server, "pid-provider", "pid", "residence", "pid", "--json")
    assert result.exit_code == 0, result.output
    offer: dict[str, Any] = json.loads(result.stdout)
    metadata = wallet.http.get(f"{wallet.issuer}/.well-known/openid-credential-issuer").json()
    assert offer["credential_issuer"] == metadata["credential_issuer"]
    assert offer["credential_configuration_ids"] == ["pid", "residence"]
    assert set(offer["credential_configuration_ids"]) <= set(metadata["credential_configurations_supported"])
    assert set(offer) == {"credential_issuer", "credential_configuration_ids", "grants"}
    assert set(offer["grants"]) == {"authorization_code"}
    assert set(offer["grants"]["authorization_code"]) == {"issuer_state"}


@pytest.mark.rule("OFR-03")
@pytest.mark.parametrize("name", ["unknown", "withdrawn"])
def test_what_is_not_issued_is_not_offered(server: RunningServer, name: str) -> None:
    result = run(server, "pid-provider", "pid", name)
    assert result.exit_code == 1
    assert f"does not issue {name}" in result.output
    assert "openid-credential-offer" not in result.output


@pytest.mark.rule("OFR-15", "OFR-01")
def test_the_command_prints_the_link(server: RunningServer) -> None:
    result = run(server, "pid-provider", "pid")
    assert result.exit_code == 0, result.output
    link = result.stdout.splitlines()[0]
    assert link.startswith("openid-credential-offer://?credential_offer=%7B")
    assert "&" not in link


@pytest.mark.rule("OFR-13")
def test_an_offer_is_taken_up_once(server: RunningServer, wallet: RawWallet, browser: Browser) -> None:
    issuer_state = mint(server)
    server.clock.advance(WEEK - 1)
    pushed = wallet.push({"issuer_state": issuer_state})
    assert pushed.status_code == 201
    code = redirect_parameters(browser.walk(wallet.authorize_url(pushed)))["code"]
    assert wallet.exchange(code).status_code == 200


@pytest.mark.rule("L-28", "OFR-13")
def test_a_used_issuer_state_is_refused(server: RunningServer, wallet: RawWallet) -> None:
    issuer_state = mint(server)
    assert wallet.push({"issuer_state": issuer_state}).status_code == 201
    with nothing_stored(server):
        assert error_of(wallet.push({"issuer_state": issuer_state})) == (400, "invalid_request")
    assert wallet.push({"issuer_state": mint(server)}).status_code == 201


@pytest.mark.rule("L-28", "OFR-13")
def test_an_issuer_state_of_another_tenant_is_refused_and_stays_good_there(
    server: RunningServer, wallet: RawWallet, other_wallet: RawWallet
) -> None:
    foreign = mint(server, OTHER_SLUG)
    with nothing_stored(server):
        assert error_of(wallet.push({"issuer_state": foreign}, dpop=False)) == (400, "invalid_request")
    assert other_wallet.push({"issuer_state": foreign}, dpop=False).status_code == 201


@pytest.mark.rule("L-28", "OFR-13")
def test_an_expired_issuer_state_is_refused(server: RunningServer, wallet: RawWallet) -> None:
    issuer_state = mint(server)
    server.clock.advance(WEEK)
    with nothing_stored(server):
        assert error_of(wallet.push({"issuer_state": issuer_state}, dpop=False)) == (400, "invalid_request")


@pytest.mark.rule("L-28", "OFR-13")
def test_an_altered_or_invented_issuer_state_is_refused(server: RunningServer, wallet: RawWallet) -> None:
    issuer_state = mint(server)
    altered = [
        issuer_state[:-1],
        issuer_state + "A",
        issuer_state + "=",
        issuer_state.lower(),
        "A" * 52,
        "ü",
        "x" * 5000,
    ]
    for place in (0, 5, 20, 40, 51):
        other = "A" if issuer_state[place] != "A" else "B"
        altered.append(issuer_state[:place] + other + issuer_state[place + 1 :])
    with nothing_stored(server):
        for value in altered:
            assert error_of(wallet.push({"issuer_state": value}, dpop=False)) == (400, "invalid_request")
    assert wallet.push({"issuer_state": issuer_state}, dpop=False).status_code == 201


@pytest.mark.rule("L-28")
@pytest.mark.parametrize("family", ["c_nonce", "dpop_as", "dpop_resource"])
def test_another_kind_of_nonce_is_no_issuer_state(
    server: RunningServer, wallet: RawWallet, family: NonceFamily
) -> None:
    with nothing_stored(server):
        answer = wallet.push({"issuer_state": mint(server, family=family)}, dpop=False)
    assert error_of(answer) == (400, "invalid_request")


@pytest.mark.rule("OFR-13")
def test_a_push_refused_for_another_reason_does_not_use_the_offer_up(server: RunningServer, wallet: RawWallet) -> None:
    issuer_state = mint(server)
    for changes in ({"redirect_uri": "https://evil.example"}, {"scope": "unknown"}, {"client_id": "nobody"}):
        assert wallet.push({"issuer_state": issuer_state, **changes}).status_code in (400, 401)
    assert wallet.push({"issuer_state": issuer_state}).status_code == 201


@pytest.mark.rule("L-28", "OFR-13")
def test_an_issuer_state_opens_nothing_by_itself(server: RunningServer, wallet: RawWallet, browser: Browser) -> None:
    # Injected into somebody else's request, it changes nothing about who signs in and what is shown.
    plain = browser.get(wallet.authorize_url(wallet.push()))
    page = browser.get(wallet.authorize_url(wallet.push({"issuer_state": mint(server)})))
    assert 'name="password"' in page.text
    assert len(page.text) == len(plain.text)
    consent = browser.sign_in(page, "max")
    assert "Max" in consent.text
    assert "Erika" not in consent.text
