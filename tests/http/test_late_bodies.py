"""A request whose body comes late is judged by what holds when it is there, not when its head came."""

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.support.documents import PID, document
from tests.support.raw_http import as_response, connect, read_answer, spelled
from tests.support.raw_wallet import RawWallet, error_of, unsent
from tests.support.server import RunningServer


def late(server: RunningServer, request: httpx2.Request, meanwhile: Callable[[], object]) -> httpx2.Response:
    """Send a request, and do something before its last octet."""
    head, body = spelled(request)
    with connect(server.url) as connection:
        connection.sendall(head + body[:-1])
        # An answer to another request: the service has read what was sent before it.
        assert httpx2.get(f"{server.url}/healthz").status_code == 200
        meanwhile()
        connection.sendall(body[-1:])
        return as_response(read_answer(connection))


def proven(wallet: RawWallet) -> dict[str, Any]:
    return {"proofs": {"jwt": [wallet.key_proof(wallet.c_nonce())]}}


@pytest.mark.rule("C-29")
@pytest.mark.parametrize(
    ("prepared", "told"),
    [
        (lambda wallet: wallet.push, (401, "invalid_client")),
        (lambda wallet: partial(wallet.exchange, wallet.code()), (401, "invalid_client")),
        (lambda wallet: partial(wallet.credential, wallet.access_token(), proven(wallet)), (401, "invalid_token")),
    ],
    ids=["push", "token", "credential"],
)
def test_a_client_that_is_retired_before_the_body_came_is_refused(
    own_server: RunningServer, prepared: Callable[[RawWallet], Callable[[], object]], told: tuple[int, str]
) -> None:
    retired = {"clients": {"registered": [{**client, "active": False} for client in PID["clients"]["registered"]]}}
    with own_server.wallet() as wallet:
        wallet.push()  # so that the proof below has a nonce
        request = unsent(wallet, prepared(wallet))
        answer = late(own_server, request, lambda: own_server.apply(document(retired)))
    assert error_of(answer) == told
