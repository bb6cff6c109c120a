"""Many credential requests with one access token at once: on both databases, on PostgreSQL through two processes."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from app.adapters.db.tables import grants, issuances
from app.protocol import base64url
from tests.races.at_once import MANY, together
from tests.races.conftest import FRUGAL, Origins
from tests.races.outcome import changing
from tests.support.codes import insert_codes
from tests.support.raw_wallet import Key, RawWallet, error_of, unsent
from tests.support.served import query
from tests.support.server import RunningServer

pytestmark = pytest.mark.race

ISSUED = {"issuances": 1, "spent dpop_jti": 1, "spent c_nonce": 1, "told of credential_issued": 1}
"""What one credential changes; a refusal changes nothing."""


@pytest.fixture
def wallet(origins: Origins) -> Iterator[RawWallet]:
    with origins[0].wallet() as wallet:
        wallet.push()
        yield wallet


def tokens(server: RunningServer, wallet: RawWallet, count: int, *names: str) -> Iterator[str]:
    """Give access tokens, each of a grant of its own."""
    for code in insert_codes(server, wallet, count, names or ("pid",)):
        yield wallet.exchange(code).json()["access_token"]


def asking(wallet: RawWallet, token: str, c_nonce: str, name: str = "pid", **options: Any) -> httpx2.Request:
    """Return a credential request for a new key of the wallet's."""
    proofs = {"jwt": [wallet.key_proof(c_nonce, key=Key())]}
    ask = partial(wallet.credential, token, {"credential_configuration_id": name, "proofs": proofs}, **options)
    return unsent(wallet, ask)


def times(changes: dict[str, int], count: int) -> dict[str, int]:
    """Return what so many of the same change."""
    return {name: number * count for name, number in changes.items()}


def errors_of(answers: list[httpx2.Response]) -> dict[tuple[int, str | None], int]:
    """Return how often each answer was given."""
    said = [error_of(answer) for answer in answers]
    return {answer: said.count(answer) for answer in said}


def grant_of(token: str) -> str:
    """Return the grant an access token names."""
    payload: dict[str, str] = json.loads(base64url.decode(token.split(".")[1]))
    return payload["sub"]


def issued_by(server: RunningServer, grant_id: str) -> tuple[int, bool, dict[str, int]]:
    """Return a grant's count, whether it still holds claims, and its issuances by configuration."""
    row = select(grants.c.credentials_issued, grants.c.authorization).where(grants.c.grant_id == grant_id)
    by_name = select(issuances.c.configuration_id, func.count()).where(issuances.c.grant_id == grant_id)
    [(count, claims)] = query(server, row)
    return count, claims is not None, dict(query(server, by_name.group_by(issuances.c.configuration_id)))


@pytest.mark.rule("L-01")
def test_one_nonce_serves_one_request(origins: Origins, wallet: RawWallet) -> None:
    server, addresses = origins
    for token in tokens(server, wallet, 10):
        c_nonce = wallet.c_nonce()
        requests = [asking(wallet, token, c_nonce) for _ in range(MANY)]
        with changing(server, ISSUED):
            answers = together(addresses, requests)
        assert errors_of(answers) == {(200, None): 1, (400, "invalid_nonce"): MANY - 1}
        # Nobody who was refused has lost anything but time.
        with changing(server, ISSUED):
            assert wallet.credential(token).status_code == 200


@pytest.mark.rule("L-10")
@pytest.mark.parametrize(
    ("slug", "quota"),
    [("pid-provider", {"pid": 5}), (FRUGAL, {"pid": 1}), (FRUGAL, {"pid": 1, "residence": 2})],
    ids=["five", "one", "one and two"],
)
def test_a_grant_issues_its_quota_of_each_credential(origins: Origins, slug: str, quota: dict[str, int]) -> None:
    server, addresses = origins
    names, total = list(quota), sum(quota.values())
    with server.wallet(slug) as wallet:
        wallet.push()
        for token in tokens(server, wallet, 5, *names):
            requests = [asking(wallet, token, wallet.c_nonce(), names[n // 2 % len(names)]) for n in range(MANY)]
            with changing(server, times(ISSUED, total)):
                answers = together(addresses, requests)
            assert errors_of(answers) == {(200, None): total, (400, "credential_request_denied"): MANY - total}
            # With the last credential the claims go.
            assert issued_by(server, grant_of(token)) == (total, False, quota)


@pytest.mark.rule("DP-14", "D-01")
def test_of_one_dpop_proof_one_request_is_served(origins: Origins, wallet: RawWallet) -> None:
    """The others lose neither their nonces nor the grant's credentials."""
    server, addresses = origins
    for token in tokens(server, wallet, 5):
        c_nonces = [wallet.c_nonce() for _ in range(MANY)]
        url = f"{wallet.issuer}/credential"
        proof = wallet.dpop("POST", url, access_token=token, nonce=wallet.nonces["resource"])
        requests = [asking(wallet, token, c_nonce, dpop=proof) for c_nonce in c_nonces]
        with changing(server, ISSUED):
            answers = together(addresses, requests)
        assert errors_of(answers) == {(200, None): 1, (401, "invalid_dpop_proof"): MANY - 1}
        refused = [c_nonce for c_nonce, answer in zip(c_nonces, answers, strict=True) if answer.status_code == 401]
        again = [asking(wallet, token, c_nonce) for c_nonce in refused[:4]]
        assert errors_of(together(addresses, again)) == {(200, None): 4}
        assert issued_by(server, grant_of(token)) == (5, False, {"pid": 5})


@pytest.mark.rule("DP-14", "D-01")
def test_of_one_request_sent_many_times_one_is_served(origins: Origins, wallet: RawWallet) -> None:
    server, addresses = origins
    for token in tokens(server, wallet, 10):
        request = asking(wallet, token, wallet.c_nonce())
        with changing(server, ISSUED):
            answers = together(addresses, [request] * MANY)
        assert errors_of(answers) == {(200, None): 1, (401, "invalid_dpop_proof"): MANY - 1}
