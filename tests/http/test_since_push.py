"""What was true when a request was pushed may be so no longer: the current revision decides, at every step.

This module's tests put back what they change of the tenant.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.http.pages import asks_to_sign_in, assert_error_page
from tests.http.state import changed, count_rows
from tests.support.documents import PID
from tests.support.raw_wallet import Browser, RawWallet, redirect_parameters
from tests.support.server import RunningServer


def without_wallet(documents: dict[str, Any]) -> None:
    documents["clients"]["registered"] = documents["clients"]["registered"][1:]


def with_retired_wallet(documents: dict[str, Any]) -> None:
    documents["clients"]["registered"][0]["active"] = False


def with_other_redirect_uri(documents: dict[str, Any]) -> None:
    documents["clients"]["registered"][0]["redirect_uris"] = ["https://wallet.example/cb"]


def without_user(documents: dict[str, Any]) -> None:
    documents["users"] = documents["users"][1:]


def with_inactive_user(documents: dict[str, Any]) -> None:
    documents["users"][0]["active"] = False


def with_disabled_credential(documents: dict[str, Any]) -> None:
    documents["credentials"]["pid"]["enabled"] = False


def without_credential(documents: dict[str, Any]) -> None:
    del documents["credentials"]["pid"]


def after(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Return the parts of the document after a change of it; a removed credential is None, as `document` has it."""
    documents = copy.deepcopy(PID)
    change(documents)
    parts = {name: documents[name] for name in ("clients", "users", "credentials")}
    parts["credentials"] = {name: documents["credentials"].get(name) for name in PID["credentials"]}
    return parts


@pytest.mark.rule("PAR-17", "AZ-04", "C-29")
@pytest.mark.parametrize("change", [without_wallet, with_retired_wallet, with_other_redirect_uri])
def test_a_wallet_that_no_longer_holds_is_sent_nobody(
    server: RunningServer,
    wallet: RawWallet,
    browser: Browser,
    second_browser: Browser,
    change: Callable[[dict[str, Any]], None],
) -> None:
    codes = count_rows(server, "authorization_codes")
    url = wallet.authorize_url(wallet.push())
    page = browser.get(url)
    consent = second_browser.sign_in(second_browser.get(url))
    with changed(server, after(change)):
        assert_error_page(browser.get(url))
        assert_error_page(browser.sign_in(page))
        assert_error_page(second_browser.submit(consent))
        assert_error_page(second_browser.submit(consent, {"action": "refuse"}))
    assert count_rows(server, "authorization_codes") == codes
    # Nothing was written: once the wallet is back, the person goes on where they were.
    redirect = redirect_parameters(second_browser.submit(consent))
    assert wallet.exchange(redirect["code"]).status_code == 200


@pytest.mark.rule("PAR-17", "C-29")
@pytest.mark.parametrize("change", [with_disabled_credential, without_credential, with_inactive_user, without_user])
def test_what_may_no_longer_be_issued_is_not_authorized(
    server: RunningServer, wallet: RawWallet, browser: Browser, change: Callable[[dict[str, Any]], None]
) -> None:
    codes = count_rows(server, "authorization_codes")
    url = wallet.authorize_url(wallet.push())
    consent = browser.sign_in(browser.get(url))
    with changed(server, after(change)):
        redirect = redirect_parameters(browser.submit(consent))
        redirect.pop("error_description")
        assert redirect == {"error": "access_denied", "state": "st&te+1", "iss": wallet.issuer}
    assert_error_page(browser.get(url))
    assert count_rows(server, "authorization_codes") == codes


@pytest.mark.rule("PAR-17")
def test_a_person_deactivated_before_signing_in_does_not_get_in(
    server: RunningServer, wallet: RawWallet, browser: Browser
) -> None:
    page = browser.get(wallet.authorize_url(wallet.push()))
    with changed(server, after(with_inactive_user)):
        answer = browser.sign_in(page)
    assert answer.status_code == 400
    assert asks_to_sign_in(answer)
    redirect = redirect_parameters(browser.submit(browser.sign_in(answer)))
    assert wallet.exchange(redirect["code"]).status_code == 200


def test_a_person_without_a_mandatory_claim_gets_no_credential(
    server: RunningServer, wallet: RawWallet, browser: Browser
) -> None:
    def without_name(documents: dict[str, Any]) -> None:
        del documents["users"][0]["claims"]["given_name"]

    with changed(server, after(without_name)):
        redirect = redirect_parameters(browser.walk(wallet.authorize_url(wallet.push())))
    assert redirect["error"] == "access_denied"
    assert "given_name" not in redirect["error_description"]
