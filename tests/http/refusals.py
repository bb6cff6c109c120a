"""Refusals of the authorization server's endpoints, and what they leave behind."""

import re

import httpx2

from tests.http.issued import assert_refused
from tests.support.raw_wallet import RawWallet, error_of

_DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")


def assert_oauth_refused(answer: httpx2.Response, status: int, code: str) -> None:
    """A refusal in the words of RFC 6749 §5.2: status, code, form; and nothing else in it."""
    assert error_of(answer) == (status, code), (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "location" not in answer.headers
    assert ("dpop-nonce" in answer.headers) == (code == "use_dpop_nonce")
    body = answer.json()
    assert body.keys() == {"error", "error_description"}
    assert _DESCRIPTION.fullmatch(body["error_description"])


def assert_kept(wallet: RawWallet, code: str) -> None:
    """The code still works for its owner."""
    answer = wallet.exchange(code)
    assert answer.status_code == 200, answer.text


def credential_works(wallet: RawWallet, access_token: str) -> bool:
    """Whether a credential can be had with the token; else it is refused as invalid."""
    answer = wallet.credential(access_token)
    if answer.status_code == 200:
        return True
    assert_refused(answer, 401, "invalid_token")
    return False
