from urllib.parse import quote

import pytest

from app.wallet.answers import Finished, Unfinished
from app.wallet.authorization import AuthorizationRequest, read_redirect
from app.wallet.discovery import AuthorizationServer
from app.wallet.errors import ServerRefused, WalletRefused
from tests.wallet.fakes import ISSUER

SERVER = AuthorizationServer(ISSUER, f"{ISSUER}/authorize", f"{ISSUER}/token")
REDIRECT_URI = "http://localhost:4711/callback"
ASKED = AuthorizationRequest(
    parameters={},
    client_id="demo-wallet",
    redirect_uri=REDIRECT_URI,
    state="the-state",
    code_verifier="the-verifier",
    by_details=False,
)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"code=c&state=the-state&iss={quote('https://evil.example', safe='')}", "issuer_mismatch"),
        ("code=c&state=the-state", "issuer_mismatch"),
        (f"code=c&state=the-state&iss={quote(ISSUER, safe='')}%2F", "issuer_mismatch"),
        (f"error=access_denied&state=the-state&iss={quote('https://evil.example', safe='')}", "issuer_mismatch"),
        (f"code=c&state=another&iss={quote(ISSUER, safe='')}", "state_mismatch"),
        (f"code=c&iss={quote(ISSUER, safe='')}", "state_mismatch"),
        (f"error=access_denied&state=another&iss={quote(ISSUER, safe='')}", "state_mismatch"),
        (f"state=the-state&iss={quote(ISSUER, safe='')}", "unusable_answer"),
        (f"code=c&code=d&state=the-state&iss={quote(ISSUER, safe='')}", "unusable_answer"),
        (f"code=c&auth_session=a&state=the-state&iss={quote(ISSUER, safe='')}", "unusable_answer"),
        (f"auth_session=a&state=another&iss={quote(ISSUER, safe='')}", "state_mismatch"),
        (f"auth_session=a&state=the-state&iss={quote('https://evil.example', safe='')}", "issuer_mismatch"),
    ],
)
def test_refuses_redirects_that_are_not_the_answer(query: str, code: str) -> None:
    with pytest.raises(WalletRefused) as refused:
        read_redirect(f"{REDIRECT_URI}?{query}", ASKED, SERVER)
    assert refused.value.code == code


def test_reads_the_code_the_handle_or_the_servers_error() -> None:
    iss = quote(ISSUER, safe="")
    assert read_redirect(f"{REDIRECT_URI}?code=c&state=the-state&iss={iss}", ASKED, SERVER) == Finished("c")
    unfinished = read_redirect(f"{REDIRECT_URI}?auth_session=a&state=the-state&iss={iss}", ASKED, SERVER)
    assert unfinished == Unfinished("a")
    with pytest.raises(ServerRefused, match="access_denied: No"):
        read_redirect(
            f"{REDIRECT_URI}?error=access_denied&error_description=No&state=the-state&iss={iss}", ASKED, SERVER
        )
