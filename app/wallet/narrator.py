"""What the wallet says: one line per exchange, or with `--trace` everything that went over the wire."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from app.protocol import base64url
from app.wallet.addresses import origin
from app.wallet.http import Exchange

Write = Callable[[str], None]
"""Prints one line."""

_PATH_WIDTH = 54
_COMPACT = r"(eyJ[A-Za-z0-9_-]++)\.([A-Za-z0-9_-]++)\.[A-Za-z0-9_-]*+"
# A JWT; with disclosures after it an SD-JWT, and with another JWT at their end one that is presented.
_JWT = re.compile(rf"(?<![A-Za-z0-9_-]){_COMPACT}(?:((?:~[A-Za-z0-9_-]+)*)~(?:{_COMPACT})?)?")
_JSON_ERROR = {"use_dpop_nonce": "wants its nonce in the DPoP proof; sent again"}


def printable(text: str) -> str:
    """Return text without characters that could steer the terminal: others wrote it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def table(rows: Sequence[tuple[str, str]], indent: str = "  ") -> list[str]:
    """Return rows of two columns as aligned lines."""
    width = max((len(left) for left, _ in rows), default=0)
    return [f"{indent}{printable(left):<{width}}  {printable(right)}" for left, right in rows]


def claim_rows(claims: Mapping[str, Any], *, empty: str | None = None, prefix: str = "") -> list[tuple[str, str]]:
    """Return claims as rows of path and value; in order, members of objects each, `address.locality`.

    `empty` stands for lists and objects with nothing in them; absent, they are shown as they are.
    """
    rows: list[tuple[str, str]] = []
    for name, value in sorted(claims.items()):
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            rows += claim_rows(value, empty=empty, prefix=f"{path}.")
        elif empty is not None and value in ({}, []):
            rows.append((path, empty))
        else:
            rows.append((path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return rows


class Narrator:
    """Tells of every exchange."""

    def __init__(self, write: Write, *, trace: bool = False) -> None:
        self._write = write
        self._trace = trace
        self._origin = ""

    def exchange(self, exchange: Exchange) -> None:
        """Tell of one exchange; without trace nothing secret is printed, so no query and no body."""
        if origin(exchange.url) != self._origin:
            self._origin = origin(exchange.url)
            self._write(printable(self._origin))
        path = printable(urlsplit(exchange.url).path)
        line = f"  → {exchange.method:<4} {path:<{_PATH_WIDTH}} {exchange.status}  {self._meaning(exchange)}"
        self._write(line)
        if self._trace:
            for detail in trace_lines(exchange):
                self._write(f"      {detail}")

    def _meaning(self, exchange: Exchange) -> str:
        error = exchange.error()
        if error is None:
            return exchange.purpose
        code, description = error
        known = _JSON_ERROR.get(code)
        return printable(f"{code}: {known or description}" if known or description else code)


def trace_lines(exchange: Exchange) -> list[str]:
    """Return the whole of an exchange: request, answer, and every JWT in them decoded."""
    parts = urlsplit(exchange.url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"> {exchange.method} {target}"]
    lines += [f"> {name}: {value}" for name, value in exchange.request_headers.items()]
    lines += [
        f">   {line}" for line in _body_lines(exchange.request_body, exchange.request_headers.get("content-type"))
    ]
    lines += [f"< {exchange.status}"]
    lines += [f"< {name}: {value}" for name, value in exchange.headers.items()]
    lines += [f"<   {line}" for line in _body_lines(exchange.body, exchange.headers.get("content-type"))]
    decoded: dict[str, None] = {}
    for text in (
        *exchange.request_headers.values(),
        # A form escapes what stands around a JWT.
        unquote_plus(exchange.request_body.decode("utf-8", "replace")),
        exchange.body.decode("utf-8", "replace"),
    ):
        decoded.update(dict.fromkeys(match[0] for match in _JWT.finditer(text)))
    for jwt in decoded:
        lines += jwt_lines(jwt)
    return [printable(line) for line in lines]


def jwt_lines(compact: str) -> list[str]:
    """Return a JWT as JSON lines, and an SD-JWT's disclosures and key binding; nothing is verified."""
    match = _JWT.fullmatch(compact)
    if match is None:
        return []
    header, payload, disclosures, *key_binding = match.groups()
    lines = [f"= {_decoded(header)}", f"= {_decoded(payload)}"]
    lines += [f"~ {_decoded(disclosure)}" for disclosure in (disclosures or "").split("~") if disclosure]
    return lines + [f"~= {_decoded(part)}" for part in key_binding if part]


def _decoded(segment: str) -> str:
    try:
        return json.dumps(json.loads(base64url.decode(segment)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return "(not JSON)"


def _body_lines(body: bytes, content_type: str | None) -> list[str]:
    text = body.decode("utf-8", "replace")
    kind = (content_type or "").partition(";")[0].strip()
    if kind == "application/x-www-form-urlencoded":
        pairs = parse_qsl(text, keep_blank_values=True)
        # A person's password is nobody's business, not even of a trace.
        return [f"{name} = {'***' if name == 'password' else value}" for name, value in pairs]
    if kind == "application/json":
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False).splitlines()
        except (ValueError, RecursionError):
            return text.splitlines()
    return text.splitlines()
