import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.pkce import challenge_of, check_challenge, verifier_matches
from app.protocol.refusal import Refusal
from tests.protocol.jwts import read_vector

VERIFIER = read_vector("rfc7636/appendix-b/verifier.txt")
CHALLENGE = read_vector("rfc7636/appendix-b/challenge.txt")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def test_rfc7636_appendix_b() -> None:
    assert challenge_of(VERIFIER) == CHALLENGE
    assert check_challenge(CHALLENGE, "S256") == (CHALLENGE, "S256")
    assert verifier_matches(VERIFIER, CHALLENGE)


@given(st.text(ALPHABET, min_size=43, max_size=128))
def test_every_well_formed_verifier_works(verifier: str) -> None:
    assert verifier_matches(verifier, challenge_of(verifier))
    assert verifier_matches(verifier, CHALLENGE) is (verifier == VERIFIER)


@pytest.mark.rule("AZ-15", "C-14")
@pytest.mark.parametrize(
    ("challenge", "method"),
    [
        (None, "S256"),
        (None, None),
        (CHALLENGE, None),
        (CHALLENGE, "plain"),
        (CHALLENGE, "s256"),
        (CHALLENGE, ""),
        ("", "S256"),
        (CHALLENGE[:-1], "S256"),
        (CHALLENGE + "A", "S256"),
        (CHALLENGE + "=", "S256"),
        (CHALLENGE[:-1] + "N", "S256"),
        (VERIFIER + VERIFIER, "S256"),
        ("é" * 43, "S256"),
    ],
)
def test_other_challenges_are_refused(challenge: str | None, method: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        check_challenge(challenge, method)
    assert refused.value.code == "invalid_request"


@pytest.mark.rule("TOK-12", "C-13")
@pytest.mark.parametrize(
    "verifier",
    [
        None,
        "",
        VERIFIER[:-1],
        VERIFIER + "A",
        VERIFIER[:-1] + "l",
        CHALLENGE,
        VERIFIER + "\n",
        " " + VERIFIER,
        "é" * 43,
    ],
)
def test_other_verifiers_do_not_match(verifier: str | None) -> None:
    assert not verifier_matches(verifier, CHALLENGE)


@pytest.mark.parametrize("verifier", ["A" * 42, "A" * 129, "A" * 42 + "!", "é" * 43])
def test_a_malformed_verifier_does_not_match_its_own_challenge(verifier: str) -> None:
    assert not verifier_matches(verifier, challenge_of(verifier))


@pytest.mark.rule("C-14")
def test_a_verifier_without_a_challenge_does_not_match() -> None:
    assert not verifier_matches(VERIFIER, None)
    assert verifier_matches(None, None)
