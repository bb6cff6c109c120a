"""The nonce endpoint (OpenID4VCI §7)."""

import sqlite3
from contextlib import closing

import pytest

from tests.http.issued import assert_refused
from tests.support.documents import OTHER_SLUG
from tests.support.raw_wallet import RawWallet, error_of
from tests.support.server import RunningServer


@pytest.mark.rule("NON-02", "NON-04", "O-11")
@pytest.mark.parametrize("body", [b"", b"{}", b"whatever=1"])
def test_anybody_gets_a_nonce(wallet: RawWallet, body: bytes) -> None:
    answer = wallet.http.post(f"{wallet.issuer}/nonce", content=body)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"c_nonce"}


@pytest.mark.rule("NON-03")
def test_nonces_cannot_be_foretold(wallet: RawWallet) -> None:
    nonces = [wallet.c_nonce() for _ in range(100)]
    # All of one second, so that what they share is their version and time at most: 7 of 39 octets.
    unpredictable = {nonce[10:] for nonce in nonces}
    assert len(unpredictable) == 100
    for position in range(len(nonces[0]) - 10):
        assert len({nonce[position] for nonce in unpredictable}) > 20


@pytest.mark.rule("NON-07")
def test_asking_keeps_nothing(server: RunningServer, wallet: RawWallet) -> None:
    def rows() -> dict[str, int]:
        with closing(sqlite3.connect(server.settings.data_directory / "vestibule.db")) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608  a name of ours

    before = rows()
    assert before["tenants"] == 2
    for _ in range(200):
        wallet.c_nonce()
    assert rows() == before


@pytest.mark.rule("NON-01", "CIM-09")
def test_it_is_offered_because_proofs_need_it(wallet: RawWallet) -> None:
    url = f"{wallet.issuer}/.well-known/openid-credential-issuer"
    assert wallet.http.get(url).json()["nonce_endpoint"] == f"{wallet.issuer}/nonce"
    token = wallet.access_token()
    proof = wallet.key_proof(None, claims={"nonce": None})
    assert_refused(wallet.credential(token, {"proofs": {"jwt": [proof]}}), 400, "invalid_proof")


@pytest.mark.rule("NON-05")
def test_its_dpop_nonce_is_good_for_the_credential_endpoint(wallet: RawWallet) -> None:
    token = wallet.access_token()
    answer = wallet.http.post(f"{wallet.issuer}/nonce")
    proof = wallet.dpop("POST", f"{wallet.issuer}/credential", access_token=token, nonce=answer.headers["DPoP-Nonce"])
    proofs = {"jwt": [wallet.key_proof(answer.json()["c_nonce"])]}
    # The very first request: no second try with another nonce.
    assert wallet.credential(token, {"proofs": proofs}, dpop=proof).status_code == 200


@pytest.mark.rule("NON-08")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_nothing_but_post(wallet: RawWallet, method: str) -> None:
    answer = wallet.http.request(method, f"{wallet.issuer}/nonce")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    assert answer.headers["cache-control"] == "no-store"
    assert "c_nonce" not in answer.text


@pytest.mark.rule("NON-06", "PRF-07", "L-02")
def test_a_nonce_lives_five_minutes(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet:
        old, later = wallet.c_nonce(), wallet.c_nonce()
        own_server.clock.advance(100)
        token = wallet.access_token()
        own_server.clock.advance(199)
        assert wallet.credential(token, {"proofs": {"jwt": [wallet.key_proof(later)]}}).status_code == 200
        own_server.clock.advance(1)
        assert_refused(wallet.credential(token, {"proofs": {"jwt": [wallet.key_proof(old)]}}), 400, "invalid_nonce")
        assert wallet.credential(token).status_code == 200


@pytest.mark.rule("NON-06", "PRF-10", "L-30")
def test_a_nonce_is_spent_by_the_request_that_issues(wallet: RawWallet) -> None:
    token, nonce = wallet.access_token(), wallet.c_nonce()
    refused = wallet.credential(token, {"proofs": {"jwt": [wallet.key_proof(nonce, claims={"aud": "x"})]}})
    assert_refused(refused, 400, "invalid_proof")
    misnamed = {"credential_configuration_id": "nothing", "proofs": {"jwt": [wallet.key_proof(nonce)]}}
    assert_refused(wallet.credential(token, misnamed), 400, "unknown_credential_configuration")
    proofs = {"jwt": [wallet.key_proof(nonce)]}
    assert wallet.credential(token, {"proofs": proofs}).status_code == 200
    # As after a lost answer: the same again, and a new proof with the same nonce.
    assert_refused(wallet.credential(token, {"proofs": proofs}), 400, "invalid_nonce")
    assert_refused(wallet.credential(token, {"proofs": {"jwt": [wallet.key_proof(nonce)]}}), 400, "invalid_nonce")
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("M-04", "L-02")
@pytest.mark.parametrize("kind", ["other tenant", "dpop_as", "dpop_resource", "forged", "cut", "long"])
def test_nonces_of_others_are_none(server: RunningServer, wallet: RawWallet, kind: str) -> None:
    token, right = wallet.access_token(), wallet.c_nonce()
    with server.wallet(OTHER_SLUG) as other:
        wrong = {
            "other tenant": other.c_nonce(),
            "dpop_as": wallet.nonces["as"],
            "dpop_resource": wallet.nonces["resource"],
            "forged": right[:-2] + ("AA" if right[-2:] != "AA" else "BA"),
            "cut": right[:-4],
            "long": right + "AAAA",
        }[kind]
    assert_refused(wallet.credential(token, {"proofs": {"jwt": [wallet.key_proof(wrong)]}}), 400, "invalid_nonce")
    assert wallet.credential(token, {"proofs": {"jwt": [wallet.key_proof(right)]}}).status_code == 200


@pytest.mark.rule("M-04")
def test_dpop_nonces_of_others_are_none(server: RunningServer, wallet: RawWallet) -> None:
    token, url = wallet.access_token(), f"{wallet.issuer}/credential"
    right = wallet.c_nonce()
    with server.wallet(OTHER_SLUG) as other:
        other.c_nonce()
        foreign = {"other tenant": other.nonces["resource"], "authorization server": wallet.nonces["as"], "key": right}
    proofs = {"jwt": [wallet.key_proof(right)]}
    for wrong in foreign.values():
        refused = wallet.credential(
            token, {"proofs": proofs}, dpop=wallet.dpop("POST", url, access_token=token, nonce=wrong)
        )
        assert_refused(refused, 401, "use_dpop_nonce")
    assert wallet.credential(token, {"proofs": proofs}).status_code == 200


def test_a_tenant_nobody_has_gives_none(server: RunningServer, wallet: RawWallet) -> None:
    answer = wallet.http.post(f"{server.url}/nobody/nonce")
    assert error_of(answer) == (404, "invalid_request")
    assert "DPoP-Nonce" not in answer.headers
