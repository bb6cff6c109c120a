"""Comparison of a sent redirect URI with a client's list."""

import pytest

from app.protocol.redirect_uri import matches

REGISTERED = ["https://wallet.example/cb?x=1", "http://localhost/callback", "http://127.0.0.1:7000/callback?a=b"]

SAME = [
    "https://wallet.example/cb?x=1",
    "http://localhost/callback",
    "http://localhost:1/callback",
    "http://localhost:65535/callback",
    "http://127.0.0.1/callback?a=b",
    "http://127.0.0.1:7001/callback?a=b",
]

DIFFERENT = [
    "",
    "https://wallet.example/cb",
    "https://wallet.example/cb?x=1&y=2",
    "https://wallet.example/cb?x=1#",
    "https://wallet.example/cb?x=1/",
    "https://wallet.example/CB?x=1",
    "https://WALLET.example/cb?x=1",
    "HTTPS://wallet.example/cb?x=1",
    "https://wallet.example:443/cb?x=1",
    "https://wallet.example:8443/cb?x=1",
    "https://wallet.example./cb?x=1",
    "https://wallet.example/./cb?x=1",
    "https://wallet.example/a/../cb?x=1",
    "https://wallet.example/%63b?x=1",
    "https://wallet.example/cb?%78=1",
    "https://wallet.example.evil.example/cb?x=1",
    "https://evil.example/https://wallet.example/cb?x=1",
    "https://wallet.example@evil.example/cb?x=1",
    "https://user@wallet.example/cb?x=1",
    "https://wallet.example\\@evil.example/cb?x=1",
    "https://wallet.example/cb?x=1\n",
    " https://wallet.example/cb?x=1",
    "http://wallet.example/cb?x=1",
    "https://localhost/callback",
    "http://localhost/callback/",
    "http://localhost/callback?x",
    "http://localhost/callback#x",
    "http://localhost/Callback",
    "http://LOCALHOST/callback",
    "http://localhost:/callback",
    "http://localhost:0/callback",
    "http://localhost:080/callback",
    "http://localhost:65536/callback",
    "http://localhost:80:80/callback",
    "http://localhost:80@evil.example/callback",
    "http://localhost.evil.example/callback",
    "http://localhost:1/callback\n",
    "http://[::1]/callback",
    "http://127.0.0.1/callback",
    "http://127.0.0.2/callback?a=b",
    "http://127.1/callback?a=b",
    "http://2130706433/callback?a=b",
]


@pytest.mark.rule("AZ-05", "C-01")
@pytest.mark.parametrize("sent", DIFFERENT)
def test_anything_else_is_another_uri(sent: str) -> None:
    assert not matches(REGISTERED, sent)


@pytest.mark.rule("AZ-05")
@pytest.mark.parametrize("sent", SAME)
def test_the_exact_string_or_another_port_on_loopback(sent: str) -> None:
    assert matches(REGISTERED, sent)


def test_nothing_matches_an_empty_list() -> None:
    assert not matches([], "https://wallet.example/cb")
