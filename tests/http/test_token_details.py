"""`authorization_details` of token requests and token answers."""

import json
from typing import Any

import httpx2
import pytest

from tests.http.issued import assert_refused, issued
from tests.http.refusals import assert_kept, assert_oauth_refused
from tests.support.raw_wallet import ABSENT, RawWallet


def details(*configuration_ids: str, **more: Any) -> str:
    return json.dumps(
        [{"type": "openid_credential", "credential_configuration_id": name, **more} for name in configuration_ids]
    )


@pytest.mark.rule("TAD-01", "TAD-02")
def test_asked_for_by_details(wallet: RawWallet) -> None:
    answer = wallet.exchange(wallet.code({"scope": ABSENT, "authorization_details": details("pid", "residence")}))
    body = answer.json()
    assert "scope" not in body
    granted = body["authorization_details"]
    assert [entry["credential_configuration_id"] for entry in granted] == ["pid", "residence"]
    for entry in granted:
        assert entry.keys() == {"type", "credential_configuration_id", "credential_identifiers"}
        assert entry["type"] == "openid_credential"
    assert len({_identifier(entry) for entry in granted}) == 2
    for entry in granted:
        assert _by_identifier(wallet, body["access_token"], _identifier(entry)).status_code == 200


@pytest.mark.rule("TAD-01")
def test_scope_alone_gets_none(wallet: RawWallet) -> None:
    assert "authorization_details" not in wallet.exchange(wallet.code()).json()


@pytest.mark.rule("TAD-04", "TAD-06")
def test_a_token_request_narrows_details(wallet: RawWallet) -> None:
    code = wallet.code({"scope": ABSENT, "authorization_details": details("pid", "residence")})
    body = wallet.exchange(code, {"authorization_details": details("residence", x_unknown=1)}).json()
    [granted] = body["authorization_details"]
    assert granted["credential_configuration_id"] == "residence"
    assert _by_identifier(wallet, body["access_token"], _identifier(granted)).status_code == 200
    by_configuration = wallet.credential(body["access_token"], {"credential_configuration_id": "pid"})
    assert by_configuration.status_code == 400


@pytest.mark.rule("TAD-01", "TAD-04")
def test_a_token_request_narrows_a_scope_to_identifiers(wallet: RawWallet) -> None:
    code = wallet.code({"scope": "pid residence"})
    body = wallet.exchange(code, {"authorization_details": details("pid")}).json()
    [granted] = body["authorization_details"]
    assert (granted["credential_configuration_id"], body["scope"]) == ("pid", "pid")
    credential = issued(_by_identifier(wallet, body["access_token"], _identifier(granted)))
    assert credential.payload["vct"] == "urn:eudi:pid:1"
    for left_out in ("pid", "residence"):
        answer = wallet.credential(body["access_token"], {"credential_configuration_id": left_out})
        assert_refused(answer, 400, "invalid_credential_request")


@pytest.mark.rule("TAD-04")
@pytest.mark.parametrize(
    "more", [details("residence"), details("pid", "residence"), details("withdrawn"), details("unknown")]
)
def test_it_never_widens(wallet: RawWallet, more: str) -> None:
    code = wallet.code()
    refused = wallet.exchange(code, {"authorization_details": more})
    assert_oauth_refused(refused, 400, "invalid_authorization_details")
    assert_kept(wallet, code)


@pytest.mark.rule("TAD-09")
@pytest.mark.parametrize(
    "malformed",
    [
        "{",
        "[]",
        "{}",
        "null",
        "[1]",
        '[{"type":"openid_credential"}]',
        '[{"type":"other","credential_configuration_id":"pid"}]',
        '[{"type":"openid_credential","credential_configuration_id":["pid"]}]',
        '[{"type":"openid_credential","credential_configuration_id":"pid","type":"openid_credential"}]',
        details("pid", "pid"),
        details("pid", locations=["https://evil.example"]),
        details("pid", claims=[]),
        "[" * 1000,
    ],
)
def test_malformed_details(wallet: RawWallet, malformed: str) -> None:
    code = wallet.code()
    refused = wallet.exchange(code, {"authorization_details": malformed})
    assert_oauth_refused(refused, 400, "invalid_authorization_details")
    assert_kept(wallet, code)


def _identifier(entry: dict[str, Any]) -> str:
    [identifier] = entry["credential_identifiers"]
    assert isinstance(identifier, str)
    assert identifier
    return identifier


def _by_identifier(wallet: RawWallet, access_token: str, identifier: str) -> httpx2.Response:
    return wallet.credential(access_token, {"credential_configuration_id": ABSENT, "credential_identifier": identifier})
