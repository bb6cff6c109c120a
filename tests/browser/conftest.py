"""Chromium at the pages of a running service, and a wallet that the browser comes back to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app.document.reader import read
from tests.browser.chromium import chromium
from tests.browser.listener import Listener, listening
from tests.browser.tab import Tab
from tests.support.documents import document
from tests.support.raw_wallet import RawWallet
from tests.support.server import RunningServer, fresh_server

EXAMPLE = Path(__file__).parents[2] / "config" / "tenants" / "pid-provider.yaml"

LONG_WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
ODD = ["Köln", {"part of": "Berlin"}, False, 3]
MARKUP = "<img src=x onerror=alert(1)><style>*{display:none}</style>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service with the example tenant, and `awkward`, whose names and values are long and look like markup."""
    example = read(EXAMPLE.read_bytes()).document
    assert example is not None
    user = {"username": "erika", "password": "vestibule-demo"}
    awkward = document(
        {
            "tenant": {"slug": "awkward", "display": [{"name": f"{LONG_WORD} & {MARKUP}"}]},
            "clients": {
                "registered": [
                    {"client_id": "demo-wallet", "name": LONG_WORD, "redirect_uris": ["http://localhost/callback"]}
                ]
            },
            "users": [
                {**user, "claims": {"given_name": MARKUP, "family_name": LONG_WORD * 3, "address": {"locality": ODD}}},
                {**user, "username": "nobody"},
            ],
        }
    )
    with fresh_server(tmp_path_factory.mktemp("server"), [example, awkward], demo=True) as running:
        yield running


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    """Where the wallet waits for the browser to come back."""
    with listening() as listener:
        yield listener


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def wallet(server: RunningServer, listener: Listener) -> Iterator[RawWallet]:
    """A wallet whose redirect URI is listened at."""
    listener.callbacks.clear()
    listener.asked.clear()
    with server.wallet(redirect_uri=listener.redirect_uri) as wallet:
        yield wallet


@pytest.fixture
def open_tab(server: RunningServer, listener: Listener, browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Open a tab in a fresh browser context; at the end none may have complained or gone elsewhere."""
    tabs: list[Tab] = []

    def open_one(**options: object) -> Tab:
        tabs.append(Tab(browser.new_context(**options)))  # type: ignore[arg-type]  # options of Playwright
        return tabs[-1]

    yield open_one
    for tab in tabs:
        tab.close()
    ours = (f"{server.url}/", f"{listener.redirect_uri}?", f"{listener.foreign_origin}/")
    assert [url for tab in tabs for url in tab.requested if not url.startswith(ours)] == []
    assert [complaint for tab in tabs for complaint in tab.complaints] == []


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    """A tab of a phone."""
    return open_tab(viewport={"width": 360, "height": 740})
