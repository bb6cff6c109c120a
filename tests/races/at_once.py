"""Requests that start together, from threads of their own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from tests.support.raw_wallet import RawWallet
from tests.support.server import RunningServer

T = TypeVar("T")


def at_once(pool: ThreadPoolExecutor, calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run the calls, none before all threads are there."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    return list(pool.map(run, calls))


def racing_wallets(server: RunningServer, origins: list[str], count: int) -> list[RawWallet]:
    """Wallets that share one key and verifier, spread over the processes, each with nonces at hand."""
    first = server.wallet()
    wallets = [replace(first, sent_to=origins[index % len(origins)], nonces={}) for index in range(count)]
    for wallet in wallets:
        assert wallet.push().status_code == 201
    first.http.close()
    return wallets
