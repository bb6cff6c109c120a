"""What the tests say about pages."""

import re

import httpx2


def assert_error_page(answer: httpx2.Response, status: int = 400) -> str:
    """Assert a page that sends nobody anywhere; return it without what differs from request to request."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert "form-action 'none'" in answer.headers["content-security-policy"]
    assert "<form" not in answer.text
    assert "refresh" not in answer.text
    return re.sub(r"<code>[^<]*</code>", "", answer.text)


def asks_to_sign_in(page: httpx2.Response) -> bool:
    """Whether a page is the sign-in page."""
    return 'name="password"' in page.text


def is_consent(page: httpx2.Response) -> bool:
    """Whether a page is the one after sign-in."""
    return page.status_code == 200 and not asks_to_sign_in(page)
