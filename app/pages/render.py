"""Renders what a person sees: server-made pages that need no script (templates and styles beside this file)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response

from app.document.model import Display
from app.steps import Page

_HERE: Final = Path(__file__).parent
STYLES: Final = (_HERE / "vestibule.css").read_bytes()
STYLES_PATH: Final = "/static/vestibule.css"
ICON: Final = (_HERE / "vestibule.svg").read_bytes()
ICON_PATH: Final = "/static/vestibule.svg"

_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, auto_reload=False
)
_templates.globals |= {"styles": STYLES_PATH, "icon": ICON_PATH}

PAGE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def step_page(
    page: Page,
    *,
    tenant: Sequence[Display],
    action: str,
    hidden: Mapping[str, str],
    redirect_uri: str | None,
    message: str | None,
    step_number: int,
    step_count: int,
    status_code: int,
) -> Response[bytes]:
    """Return the page of a step; its form may post here and be redirected to this session's wallet, nowhere else."""
    text = _templates.get_template(page.template).render(
        tenant=tenant[0],
        action=action,
        hidden=hidden,
        message=message,
        step_number=step_number,
        step_count=step_count,
        **page.values,
    )
    return _response(text, status_code, form_action=f"'self' {_source(redirect_uri)}".strip())


def error_page(text: str, *, status: int, request_id: str) -> Response[bytes]:
    """Return the page of an error that cannot safely be sent to a wallet."""
    rendered = _templates.get_template("error.html").render(text=text, request_id=request_id)
    return _response(rendered, status, form_action="'none'")


def _source(redirect_uri: str | None) -> str:
    """Return the CSP source of a redirect URI: its origin, or its scheme where it has none that CSP can name."""
    if redirect_uri is None:
        return ""
    parts = urlsplit(redirect_uri)
    # CSP 3 §2.3.1: a host-source has no form for an IPv6 address; browsers drop the whole source.
    nameable = parts.scheme in ("http", "https") and "[" not in parts.netloc
    return f"{parts.scheme}://{parts.netloc}" if nameable else f"{parts.scheme}:"


def _response(text: str, status_code: int, *, form_action: str) -> Response[bytes]:
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {form_action}"
    )
    headers: dict[str, Any] = {**PAGE_HEADERS, "Content-Security-Policy": policy}
    return Response(text.encode(), status_code=status_code, media_type=MediaType.HTML, headers=headers)
