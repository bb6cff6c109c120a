"""Headless Chromium: found on this machine, started with nothing of its own on the network."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

_ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium with a profile of its own that is thrown away."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def find() -> str:
    """Return where Chromium is; without it the test is skipped, or fails where it is demanded."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is not None:
        return found
    missing = "CHROMIUM IS NOT INSTALLED: THE PAGES ARE NOT TESTED (Debian: apt-get install chromium)"
    if os.environ.get("CI") == "true" or os.environ.get("VESTIBULE_TEST_REQUIRE_BROWSER") == "1":
        raise RuntimeError(missing)
    pytest.skip(missing)
