"""Credential requests while the code of their grant is used again: nothing is issued once the grant is revoked."""

from functools import partial
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from tests.races.at_once import MANY, together
from tests.races.conftest import Origins
from tests.races.outcome import changing
from tests.races.test_credentials import ISSUED, asking, errors_of, grant_of, issued_by, times
from tests.support.codes import insert_codes
from tests.support.raw_wallet import unsent
from tests.support.served import query
from tests.support.server import RunningServer

pytestmark = pytest.mark.race

REUSES = 10
PLACES = range(0, MANY - REUSES + 1, 4)
"""Where among the requests the code comes, from round to round."""
REVOKED = (401, "invalid_token")

_LAST_OF_ALL = {
    # Whoever wrote the grant's row last has written nothing that was issued.
    "postgresql": """
        SELECT i.issuance_id FROM issuances i JOIN grants g ON g.tenant_id = i.tenant_id AND g.grant_id = i.grant_id
        WHERE g.grant_id = :grant AND g.xmin = i.xmin""",
    # Rows are numbered as they are committed: writers come one after the other.
    "sqlite": """
        SELECT i.subject FROM audit_events i JOIN audit_events r ON r.kind = 'code_reused' AND r.rowid < i.rowid
        WHERE i.kind = 'credential_issued' AND json_extract(i.detail, '$.grant') = :grant
        AND r.subject = (SELECT session_id FROM authorization_codes WHERE grant_id = :grant)""",
}


def issued_after_revocation(server: RunningServer, grant_id: str) -> list[Any]:
    """Return what a revoked grant issued after its revocation."""
    kind = server.settings.database_url.partition(":")[0]
    return list(query(server, text(_LAST_OF_ALL[kind]).bindparams(grant=grant_id)))


@pytest.mark.rule("L-15", "C-10", "C-11")
def test_a_grant_issues_nothing_once_its_code_was_used_again(origins: Origins) -> None:
    server, addresses = origins
    rounds: list[int] = []
    with server.wallet() as wallet:
        wallet.push()
        for place, code in zip(PLACES, insert_codes(server, wallet, len(PLACES)), strict=True):
            token = wallet.exchange(code).json()["access_token"]
            grant_id = grant_of(token)
            requests = [asking(wallet, token, wallet.c_nonce()) for _ in range(MANY - REUSES)]
            requests[place:place] = [unsent(wallet, partial(wallet.exchange, code)) for _ in range(REUSES)]
            changes: dict[str, int] = {}
            with changing(server, changes):
                answers = together(addresses, requests)
                reused, asked = answers[place : place + REUSES], answers[:place] + answers[place + REUSES :]
                issued = errors_of(asked).get((200, None), 0)
                changes |= times(ISSUED, issued) | {"told of code_reused": 1}
                changes["spent dpop_jti"] = issued + REUSES
            assert errors_of(reused) == {(400, "invalid_grant"): REUSES}
            assert errors_of(asked).keys() <= {(200, None), (400, "credential_request_denied"), REVOKED}
            assert issued_by(server, grant_id) == (issued, False, {"pid": issued} if issued else {})
            assert issued_after_revocation(server, grant_id) == []
            with changing(server, {}):
                late = together(addresses, [asking(wallet, token, wallet.c_nonce()) for _ in range(2)])
            assert errors_of(late) == {REVOKED: 2}
            rounds.append(issued)
    # It came in time for some requests, and too late for others.
    assert 0 < sum(rounds) < 5 * len(rounds), rounds


@pytest.mark.rule("L-15", "C-10")
def test_a_token_is_worthless_once_a_second_use_of_its_code_is_answered(origins: Origins) -> None:
    """Requests are sent as soon as one of many second uses is answered, while the others are under way."""
    server, addresses = origins
    with server.wallet() as wallet:
        wallet.push()
        for code in insert_codes(server, wallet, 6):
            token = wallet.exchange(code).json()["access_token"]
            asked = [asking(wallet, token, wallet.c_nonce()) for _ in range(MANY)]
            late: list[httpx2.Response] = []

            def ask(asked: list[httpx2.Request] = asked, late: list[httpx2.Response] = late) -> None:
                late += together(addresses, asked)

            again = [unsent(wallet, partial(wallet.exchange, code)) for _ in range(MANY)]
            with changing(server, {"told of code_reused": 1, "spent dpop_jti": MANY}):
                answers = together(addresses, again, meanwhile=ask, after=1)
            assert errors_of(answers) == {(400, "invalid_grant"): MANY}
            assert errors_of(late) == {REVOKED: MANY}
