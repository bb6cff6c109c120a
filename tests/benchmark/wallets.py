"""Wallets in processes of their own, which walk journeys and note how long they waited."""

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.pool import Pool
from typing import Final, Self

import httpx2
import psutil

from tests.support import raw_http
from tests.support.fakes import RunningClock
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.presented import PID_ISSUER

ENDPOINTS: Final = ("interactive", "presentation", "token", "nonce", "credential")


class Wallets:
    """So many wallets, ready to walk; each signs live, over one connection or a new one for each journey."""

    def __init__(self, count: int, *, cores: Sequence[int], reconnecting: bool = False) -> None:
        self._count, self._reconnecting = count, reconnecting
        # Not forked: this process has threads.
        self._pool: Pool = multiprocessing.get_context("spawn").Pool(count, initializer=_settle, initargs=(cores,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.terminate()

    def walk(self, issuer: str, journeys: int) -> dict[str, list[float]]:
        """Walk so many journeys each, all at once; return how long they waited, by endpoint."""
        waited = self._pool.starmap(_walk, [(issuer, journeys, self._reconnecting)] * self._count, chunksize=1)
        return {name: [time for one in waited for time in one[name]] for name in ENDPOINTS}


class OneConnection(httpx2.BaseTransport):
    """Requests over one open connection, without a client library: wallets shall leave the machine to the service."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = raw_http.connect(url)

    def renew(self) -> None:
        """Go on over a new connection."""
        self._connection.close()
        self._connection = raw_http.connect(self._url)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request and read its answer."""
        self._connection.sendall(b"".join(raw_http.spelled(request)))
        return raw_http.as_response(raw_http.read_answer(self._connection))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _settle(cores: Sequence[int]) -> None:
    psutil.Process(os.getpid()).cpu_affinity(list(cores))


def _walk(issuer: str, journeys: int, reconnecting: bool) -> dict[str, list[float]]:
    waited: dict[str, list[float]] = {name: [] for name in ENDPOINTS}

    def timed(name: str, send: Callable[[], httpx2.Response]) -> httpx2.Response:
        began = time.perf_counter()
        answer = send()
        waited[name].append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise RuntimeError(f"{name}: answered {answer.status_code}")
        return answer

    connection = OneConnection(issuer)
    with InteractiveWallet(issuer, RunningClock(), transport=connection) as wallet:
        wallet.begin()  # so that a nonce is there and nothing below is sent twice
        card = PID_ISSUER.issue(holder=wallet.holder.private).text
        for _ in range(journeys):
            if reconnecting:
                connection.renew()
            asked = timed("interactive", wallet.begin)
            code = timed("presentation", partial(wallet.show, asked, card)).json()["code"]
            token = timed("token", partial(wallet.exchange, code)).json()["access_token"]
            nonce = timed("nonce", partial(wallet.http.post, f"{issuer}/nonce")).json()["c_nonce"]
            body = {"credential_configuration_id": "student-card", "proofs": {"jwt": [wallet.key_proof(nonce)]}}
            timed("credential", partial(wallet.credential, token, body))
    return waited
