"""HTTP for the wallet: every request and its answer is one `Exchange`, bounded in size and time, and observed."""

import json
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from msgspec import Struct

from app.protocol import strict_json
from app.wallet.addresses import split_address
from app.wallet.errors import Misused, ServerRefused, Unreachable, WalletRefused

MAX_ANSWER = 1024 * 1024
"""Octets of an answer's body the wallet is willing to read."""

_CHALLENGE_ERROR = re.compile(r'\berror="([^"]{1,100})"')


class Exchange(Struct, frozen=True, kw_only=True):
    """One request and its answer."""

    method: str
    url: str
    purpose: str
    request_headers: Mapping[str, str]
    request_body: bytes
    status: int
    headers: httpx2.Headers
    body: bytes

    def json_object(self) -> dict[str, Any]:
        """Return the body. Raises `WalletRefused` unless it is a JSON object said to be one."""
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise WalletRefused("unusable_answer", f"{self.url} answered {content_type or 'nothing'}, not JSON")
        try:
            return strict_json.parse_object(self.body)
        except strict_json.Malformed as malformed:
            raise WalletRefused("unusable_answer", f"{self.url} answered broken JSON: {malformed}") from None

    def error(self) -> tuple[str, str] | None:
        """Return the server's error code and description, or None if this is no error.

        From the JSON body (RFC 6749 §5.2), else from the challenge (RFC 6750 §3), else only the status.
        """
        if self.status < 400:
            return None
        try:
            body = strict_json.parse_object(self.body)
        except strict_json.Malformed:
            body = {}
        code, description = body.get("error"), body.get("error_description", "")
        if isinstance(code, str) and code:
            return code, description if isinstance(description, str) else ""
        if challenge := _CHALLENGE_ERROR.search(self.headers.get("www-authenticate", "")):
            return challenge[1], ""
        return f"http_{self.status}", httpx2.codes.get_reason_phrase(self.status)

    def require(self, status: int) -> dict[str, Any]:
        """Return the JSON object of an answer with this status.

        Raises `ServerRefused` for an error answer, `WalletRefused` for any other status or body.
        """
        if error := self.error():
            raise ServerRefused(*error)
        if self.status != status:
            raise WalletRefused("unusable_answer", f"{self.url} answered {self.status}, expected {status}")
        return self.json_object()


class Http:
    """Sends requests and reports each exchange; never follows a redirect by itself."""

    def __init__(
        self,
        observe: Callable[[Exchange], None],
        *,
        ca_file: Path | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._observe = observe
        # Plain http is loopback only here, so a Secure cookie is as safe there as browsers take it to be.
        cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("https", "http")))
        self._client = httpx2.Client(
            transport=transport,
            verify=_trust(ca_file),
            # A proxy of the environment cannot reach this machine's loopback.
            mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
            timeout=httpx2.Timeout(15),
            cookies=cookies,
            headers={"user-agent": "vestibule-wallet", "accept-encoding": "identity"},
        )

    def send(
        self,
        method: str,
        url: str,
        purpose: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Iterable[tuple[str, str]] | None = None,
        json_body: Mapping[str, Any] | None = None,
    ) -> Exchange:
        """Send one request.

        Raises `Unreachable` without an answer, `WalletRefused` for an unsafe URL or a huge answer.
        """
        split_address(url, "the address")
        sent = {"accept": "application/json", **(headers or {})}
        content = b""
        if form is not None:
            content, sent["content-type"] = urlencode(list(form)).encode(), "application/x-www-form-urlencoded"
        elif json_body is not None:
            content, sent["content-type"] = json.dumps(json_body).encode(), "application/json"
        try:
            with self._client.stream(method, url, headers=sent, content=content) as answer:
                body = _read_bounded(answer)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise Unreachable("no_answer", f"{url}: {_reason(error)}") from None
        except httpx2.HTTPError as error:
            raise WalletRefused("unusable_answer", f"{url}: {_reason(error)}") from None
        exchange = Exchange(
            method=method,
            url=url,
            purpose=purpose,
            request_headers=sent,
            request_body=content,
            status=answer.status_code,
            headers=answer.headers,
            body=body,
        )
        self._observe(exchange)
        return exchange


def _read_bounded(answer: httpx2.Response) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise WalletRefused("unusable_answer", f"{answer.url} answered more than {MAX_ANSWER} octets")
    return bytes(body)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError):
            raise Misused("unreadable_file", f"{ca_file} holds no PEM certificates") from None
    return context


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "the server's TLS certificate is not trusted (--ca FILE names its authority)"
    return text
