"""What the dialect `web` writes: `request_uri`s."""

import pytest

from app.interaction.dialects import web


@pytest.mark.rule("PAR-06")
def test_a_push_is_answered_with_a_urn_that_leads_back_to_the_handle() -> None:
    answer = web.pushed("handle", expires_in=60)
    assert answer == {"request_uri": "urn:ietf:params:oauth:request_uri:handle", "expires_in": 60}
    assert web.request_uri_handle("urn:ietf:params:oauth:request_uri:handle") == "handle"


@pytest.mark.rule("C-06")
@pytest.mark.parametrize(
    "sent",
    [
        "handle",
        "https://evil.example/request.jwt",
        "urn:ietf:params:oauth:request_uri",
        "URN:ietf:params:oauth:request_uri:handle",
        " urn:ietf:params:oauth:request_uri:handle",
        "https://evil.example/?urn:ietf:params:oauth:request_uri:handle",
    ],
)
def test_other_uris_have_no_handle(sent: str) -> None:
    assert web.request_uri_handle(sent) is None
