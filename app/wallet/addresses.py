"""Which addresses the wallet is willing to call, and how they are compared."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from app.wallet.errors import WalletRefused

MAX_URL_LENGTH = 2048
_DEFAULT_PORTS = {"https": 443, "http": 80}


def split_address(url: object, what: str) -> SplitResult:
    """Split an absolute URL that is https, or http on the loopback interface.

    Raises `WalletRefused` for everything else: user information, fragments, odd characters, plain http elsewhere.
    """
    if not isinstance(url, str) or not url or len(url) > MAX_URL_LENGTH:
        raise WalletRefused("unsafe_address", f"{what} is missing or not a URL")
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' \\"<>'):
        raise WalletRefused("unsafe_address", f"{what} holds characters a URL cannot hold")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise WalletRefused("unsafe_address", f"{what} is not a URL") from None
    if not host or parts.username is not None or parts.fragment:
        raise WalletRefused("unsafe_address", f"{what} has no host, or has user information or a fragment: {url}")
    # OpenID4VCI §12.2.1 and RFC 8414 §2 want https; loopback addresses never leave this machine.
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise WalletRefused("unsafe_address", f"{what} is neither https nor a loopback address: {url}")
    return parts


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine's loopback interface."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str) -> str:
    """Return scheme, host and port of a URL as RFC 6454 §6.2 writes an origin: a default port is not in it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    written = f"[{host}]" if ":" in host else host
    if parts.port is None or parts.port == _DEFAULT_PORTS.get(parts.scheme):
        return f"{parts.scheme}://{written}"
    return f"{parts.scheme}://{written}:{parts.port}"


def issuer_identifier(value: object, what: str) -> str:
    """Check an issuer identifier (OpenID4VCI §12.2.1, RFC 8414 §2): a safe address without query."""
    parts = split_address(value, what)
    if parts.query:
        raise WalletRefused("unsafe_address", f"{what} has a query")
    return parts.geturl()


def endpoint_of(issuer: str, value: object, what: str) -> str:
    """Check an endpoint an issuer named: a safe address, and on loopback only if the issuer is there too.

    Otherwise any issuer on the internet could make the wallet call services of this machine.
    """
    parts = split_address(value, what)
    if is_loopback(parts.hostname or "") and not is_loopback(urlsplit(issuer).hostname or ""):
        raise WalletRefused("unsafe_address", f"{what} points to this machine, its issuer is elsewhere: {issuer}")
    return str(value)


def well_known(issuer: str, name: str) -> str:
    """Build the metadata address: the well-known segment goes between host and path (RFC 8414 §3.1, ASM-01)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path.rstrip('/')}"
