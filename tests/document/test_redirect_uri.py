"""Redirect URIs that a document may list."""

import pytest

from app.document.redirect_uri import check_registered

FINE = [
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

NEVER = [
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


@pytest.mark.parametrize("uri", FINE)
@pytest.mark.parametrize("allow_private_use", [False, True])
def test_accepted(uri: str, allow_private_use: bool) -> None:
    assert check_registered(uri, allow_private_use=allow_private_use) is None


@pytest.mark.rule("AZ-06")
@pytest.mark.parametrize("uri", NEVER)
@pytest.mark.parametrize("allow_private_use", [False, True])
def test_refused(uri: str, allow_private_use: bool) -> None:
    assert check_registered(uri, allow_private_use=allow_private_use) is not None


@pytest.mark.parametrize("uri", ["com.example.wallet:/cb", "eu.europa.ec.euidi://authorization"])
def test_private_use_schemes_where_the_tenant_allows_them(uri: str) -> None:
    assert check_registered(uri, allow_private_use=True) is None
    assert check_registered(uri, allow_private_use=False) is not None
