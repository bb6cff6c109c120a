"""A proof that was used before is told as that, whatever else is wrong with the request: alike on both databases."""

from functools import partial

import httpx2
import pytest

from tests.http.refusals import assert_oauth_refused
from tests.support.documents import document
from tests.support.raw_wallet import RawWallet, unsent
from tests.support.server import RunningServer

DETAILS = '[{"type":"openid_credential","credential_configuration_id":"nope"}]'


def sent_with_the_proof_of(wallet: RawWallet, good: httpx2.Request, bad: httpx2.Request) -> httpx2.Response:
    assert wallet.http.send(good).is_success
    bad.headers["dpop"] = good.headers["dpop"]
    return wallet.http.send(bad)


@pytest.mark.rule("D-01", "DP-13")
def test_a_push_with_a_used_proof_and_a_dead_offer(own_either_server: RunningServer) -> None:
    with RawWallet(own_either_server.issuer(document().tenant.slug), own_either_server.clock) as wallet:
        wallet.push()
        bad = unsent(wallet, partial(wallet.push, {"issuer_state": "dead"}))
        answer = sent_with_the_proof_of(wallet, unsent(wallet, wallet.push), bad)
        assert_oauth_refused(answer, 400, "invalid_dpop_proof")


@pytest.mark.rule("D-01", "DP-13")
def test_an_exchange_with_a_used_proof_and_unknown_details(own_either_server: RunningServer) -> None:
    with RawWallet(own_either_server.issuer(document().tenant.slug), own_either_server.clock) as wallet:
        good = unsent(wallet, partial(wallet.exchange, wallet.code()))
        bad = unsent(wallet, partial(wallet.exchange, wallet.code(), {"authorization_details": DETAILS}))
        answer = sent_with_the_proof_of(wallet, good, bad)
        assert_oauth_refused(answer, 400, "invalid_dpop_proof")
