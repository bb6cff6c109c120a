"""Errors of every endpoint: status, form, and nothing of the request in them."""

import re

import httpx2
import pytest

from tests.support.raw_wallet import RawWallet

HOSTILE = 'x"\\é\n\t\x1b[31m<script>'

_ALLOWED = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]*")


def refusals(wallet: RawWallet) -> dict[str, httpx2.Response]:
    """Provoke one error everywhere, each with a hostile text in what it is about."""
    token = wallet.access_token()
    return {
        "par": wallet.push({"scope": HOSTILE}),
        "par client": wallet.push({"client_id": HOSTILE}, dpop=False),
        "par details": wallet.push({"authorization_details": f"[{HOSTILE}"}),
        "par proof": wallet.push(dpop={"claims": {"htm": HOSTILE}}),
        "token grant type": wallet.exchange("x", {"grant_type": HOSTILE}),
        "token code": wallet.exchange(HOSTILE),
        "credential configuration": wallet.credential(token, {"credential_configuration_id": HOSTILE}),
        "credential proof": wallet.credential(token, {"proofs": {HOSTILE: [HOSTILE]}}),
        "credential token": wallet.credential(token, dpop={"claims": {"htu": HOSTILE}}),
        "no such path": wallet.http.get(f"{wallet.issuer}/nothing"),
        "wrong method": wallet.http.get(f"{wallet.issuer}/nonce"),
    }


@pytest.mark.rule("G-02", "G-03", "G-04")
def test_every_error_is_json_in_the_plain_character_set_and_is_not_kept(wallet: RawWallet) -> None:
    expected = {"par client": 401, "credential token": 401, "no such path": 404, "wrong method": 405}
    for name, answer in refusals(wallet).items():
        assert answer.status_code == expected.get(name, 400), name
        assert answer.headers["content-type"].partition(";")[0] == "application/json", name
        assert "no-store" in answer.headers["cache-control"], name
        body = answer.json()
        assert re.fullmatch(r"[a-z_]+", body["error"]), name
        description = body.get("error_description", "")
        assert _ALLOWED.fullmatch(description), name
        assert "script" not in description, name


@pytest.mark.rule("G-04")
def test_what_carries_secrets_is_not_kept(wallet: RawWallet) -> None:
    pushed = wallet.push()
    exchanged = wallet.exchange(wallet.code())
    answers = [
        pushed,
        exchanged,
        wallet.http.post(f"{wallet.issuer}/nonce"),
        wallet.credential(exchanged.json()["access_token"]),
        wallet.http.get(wallet.authorize_url(pushed)),
    ]
    for answer in answers:
        assert answer.status_code in (200, 201)
        assert "no-store" in answer.headers["cache-control"]
