"""The whole journey: push, sign in, agree, exchange, nonce, credential."""

import pytest

from app.formats import sd_jwt_vc
from tests.support.raw_wallet import RawWallet


@pytest.mark.rule("PAR-05", "TOK-15", "CR-16")
def test_a_wallet_gets_a_credential_by_scope(wallet: RawWallet) -> None:
    pushed = wallet.push()
    assert pushed.status_code == 201
    assert pushed.json()["expires_in"] == 60
    answer = wallet.exchange(wallet.code())
    assert answer.status_code == 200
    token = answer.json()
    assert token["token_type"] == "DPoP"
    assert token["expires_in"] == 300
    issued = wallet.credential(token["access_token"])
    assert issued.status_code == 200, issued.text
    [credential] = issued.json()["credentials"]
    assert credential["credential"].endswith("~")
    assert sd_jwt_vc
