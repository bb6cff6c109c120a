"""Redirect URIs that may be listed, and comparison of a sent one with a client's list."""

import pytest

from app.protocol.redirect_uri import check_registered, matches

LISTABLE = [
    "https://wallet.example/cb",
    "https://wallet.example",
    "https://wallet.example:8443/cb?x=1&y=%20",
    "https://xn--bcher-kva.example/cb",
    "https://localhost:9443/cb",
    "http://localhost/callback",
    "http://localhost:8080/callback?x=1",
    "http://127.0.0.1/callback",
    "http://[::1]:1/",
    "http://localhost",
]

NOT_LISTABLE = [
    "",
    "https:",
    "https://",
    "https:///cb",
    "https:wallet.example",
    "//wallet.example/cb",
    "/cb",
    "wallet.example/cb",
    "https://wallet.example/cb#",
    "https://wallet.example/cb#fragment",
    "https://*.example/cb",
    "https://wallet.example/*",
    "https://user@wallet.example/cb",
    "https://user:pass@wallet.example/cb",
    "https://wallet.example\\@evil.example/cb",
    "https://wallet.example/a/../cb",
    "https://wallet.example/a/%2e%2E/cb",
    "https://wallet.example/.",
    "https://Wallet.example/cb",
    "https://wallet.example./cb",
    "https://wallet..example/cb",
    "https://-wallet.example/cb",
    "https://bücher.example/cb",
    "https://wallet.example/a b",
    "https://wallet.example/\n",
    "https://wallet.example/%zz",
    "https://wallet.example:0/cb",
    "https://wallet.example:70000/cb",
    "https://wallet.example:/cb",
    "https://10.0.0.1/cb",
    "https://127.1/cb",
    "https://2130706433/cb",
    "https://0x7f.0x1/cb",
    "https://[fd00::1]/cb",
    "HTTPS://wallet.example/cb",
    "http://wallet.example/cb",
    "http://localhost.evil.example/cb",
    "http://localhost@evil.example/cb",
    "http://127.0.0.2/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://localhost:70000/cb",
    "http://localhost:0/cb",
    "http://LOCALHOST/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "ftp://wallet.example/cb",
    "myapp:/cb",
    "com.example.wallet:cb",
    "com.example.wallet://user@host/cb",
    "com.example.wallet:/cb#x",
    "https://wallet.example/" + "a" * 2000,
]


@pytest.mark.parametrize("uri", LISTABLE)
@pytest.mark.parametrize("allow_private_use", [False, True])
def test_what_may_be_listed(uri: str, allow_private_use: bool) -> None:
    assert check_registered(uri, allow_private_use=allow_private_use) is None


@pytest.mark.rule("AZ-06")
@pytest.mark.parametrize("uri", NOT_LISTABLE)
@pytest.mark.parametrize("allow_private_use", [False, True])
def test_what_may_not_be_listed(uri: str, allow_private_use: bool) -> None:
    assert check_registered(uri, allow_private_use=allow_private_use) is not None


@pytest.mark.parametrize("uri", ["com.example.wallet:/cb", "eu.europa.ec.euidi://authorization"])
def test_private_use_schemes_where_the_tenant_allows_them(uri: str) -> None:
    assert check_registered(uri, allow_private_use=True) is None
    assert check_registered(uri, allow_private_use=False) is not None


# Comparing

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
