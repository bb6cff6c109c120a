"""Where a browser goes at the end of its leg."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from app.interaction import redirect

ISSUER = "https://issuer.example/pid-provider"
STATE = "a+b%20&c=d#e/ü\"<>'"


def parameters(location: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(location).query, keep_blank_values=True)


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
    location = redirect.location(redirect_uri, code="c-o_de", state=STATE, iss=ISSUER)
    assert location.startswith(redirect_uri)
    assert parameters(location) == [*kept, ("code", "c-o_de"), ("state", STATE), ("iss", ISSUER)]
    assert location.isascii()
    assert urlsplit(location).fragment == ""


@pytest.mark.rule("AZ-07")
def test_no_state_is_sent_where_none_was_sent() -> None:
    assert parameters(redirect.location("https://w.example/cb", code="c", state=None, iss=ISSUER)) == [
        ("code", "c"),
        ("iss", ISSUER),
    ]


@pytest.mark.rule("AZ-08", "AZ-09")
def test_an_error_comes_with_state_and_issuer() -> None:
    location = redirect.location(
        "https://w.example/cb?x=1", error="access_denied", error_description="No.", state=STATE, iss=ISSUER
    )
    assert parameters(location) == [
        ("x", "1"),
        ("error", "access_denied"),
        ("error_description", "No."),
        ("state", STATE),
        ("iss", ISSUER),
    ]
