"""What the dialect `web` writes: `request_uri`s and redirects."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from app.interaction.dialects import web

ISSUER = "https://issuer.example/pid-provider"
STATE = "a+b%20&c=d#e/ü\"<>'"


def parameters(location: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(location).query, keep_blank_values=True)


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


@pytest.mark.rule("AZ-07", "AZ-08")
@pytest.mark.parametrize(
    ("redirect_uri", "kept"),
    [
        ("https://wallet.example/cb", []),
        ("https://wallet.example", []),
        ("https://wallet.example/cb?x=1", [("x", "1")]),
        ("https://wallet.example/cb?x=%26&y", [("x", "&"), ("y", "")]),
        ("https://wallet.example/cb?", []),
        ("http://localhost:9555/cb", []),
        ("com.example.wallet:/cb", []),
    ],
)
def test_the_redirect_keeps_the_query_and_adds_code_state_and_issuer(
    redirect_uri: str, kept: list[tuple[str, str]]
) -> None:
    location = web.granted(redirect_uri, code="c-o_de", state=STATE, issuer=ISSUER)
    assert location.startswith(redirect_uri)
    assert parameters(location) == [*kept, ("code", "c-o_de"), ("state", STATE), ("iss", ISSUER)]
    assert location.isascii()
    assert urlsplit(location).fragment == ""


@pytest.mark.rule("AZ-07")
def test_no_state_is_sent_where_none_was_sent() -> None:
    assert parameters(web.granted("https://w.example/cb", code="c", state=None, issuer=ISSUER)) == [
        ("code", "c"),
        ("iss", ISSUER),
    ]


@pytest.mark.rule("AZ-08", "AZ-09")
def test_an_error_comes_with_state_and_issuer() -> None:
    location = web.refused(
        "https://w.example/cb?x=1", error="access_denied", description="No.", state=STATE, issuer=ISSUER
    )
    assert parameters(location) == [
        ("x", "1"),
        ("error", "access_denied"),
        ("error_description", "No."),
        ("state", STATE),
        ("iss", ISSUER),
    ]
