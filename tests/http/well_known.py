"""Reading the well-known documents of a wallet's issuer."""

from typing import Any

from tests.support.raw_wallet import RawWallet

KINDS = ["oauth-authorization-server", "openid-credential-issuer"]


def metadata(wallet: RawWallet, kind: str = "oauth-authorization-server", **options: Any) -> dict[str, Any]:
    answer = wallet.http.get(f"{wallet.issuer}/.well-known/{kind}", **options)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def issuer_metadata(wallet: RawWallet) -> dict[str, Any]:
    return metadata(wallet, "openid-credential-issuer")


def inserted(issuer: str, kind: str) -> str:
    """The well-known URL of RFC 8414 §3.1 and OpenID4VCI §12.2.2: between host and path."""
    scheme, _, rest = issuer.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}/.well-known/{kind}{slash}{path}"


def urls(document: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}


def members(value: Any) -> list[Any]:
    """Every value in a document, at any depth."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for member in inner for found in members(member))]
