import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from app.wallet.browser import PATIENCE, LoopbackListener
from app.wallet.errors import Misused, Unreachable
from tests.wallet.fakes import NOW


def test_waits_for_the_redirect_and_ignores_everything_else() -> None:
    with LoopbackListener(lambda: NOW) as listener:
        port = urlsplit(listener.redirect_uri).port
        assert listener.redirect_uri == f"http://localhost:{port}/callback"
        statuses: list[int] = []

        def visit() -> None:
            for path in ("favicon.ico", "callback", "callback?code=c&state=a%26b"):
                statuses.append(httpx2.get(f"http://127.0.0.1:{port}/{path}", trust_env=False).status_code)

        browser = threading.Thread(target=visit)
        browser.start()
        assert listener.wait() == f"{listener.redirect_uri}?code=c&state=a%26b"
        browser.join()
        assert statuses == [404, 404, 200]


def test_gives_up_when_nobody_comes() -> None:
    times: Iterator[int] = iter([NOW, NOW + PATIENCE])
    with (
        LoopbackListener(lambda: next(times)) as listener,
        pytest.raises(Unreachable, match="nobody_came_back"),
    ):
        listener.wait()


def test_listens_where_it_is_told_on_loopback_only() -> None:
    with LoopbackListener(lambda: NOW) as taken, pytest.raises(Unreachable, match="no_listener"):
        LoopbackListener(lambda: NOW, taken.redirect_uri)
    for uri in ("https://wallet.example/cb", "http://wallet.example/cb", "https://localhost:1/cb"):
        with pytest.raises(Misused):
            LoopbackListener(lambda: NOW, uri)


def test_waits_anew_for_a_second_visit() -> None:
    with LoopbackListener(lambda: NOW) as listener:

        def visit() -> None:
            for name in "ab":
                httpx2.get(f"{listener.redirect_uri}?code={name}", trust_env=False)

        browser = threading.Thread(target=visit)
        browser.start()
        assert [listener.wait(), listener.wait()] == [f"{listener.redirect_uri}?code={name}" for name in "ab"]
        browser.join()
