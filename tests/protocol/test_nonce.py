import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol import nonce
from app.protocol.nonce import NonceFamily, is_live, issued_at, mint_nonce

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NOW = 1_800_000_000
RANDOM = bytes(range(16))
NONCE = mint_nonce(KEY, "c_nonce", now=NOW, random=RANDOM)
FAMILIES: list[NonceFamily] = ["dpop_as", "dpop_resource", "c_nonce", "issuer_state"]


def live(value: str, *, key: bytes = KEY, family: NonceFamily = "c_nonce", now: int = NOW) -> bool:
    return is_live(key, family, value, now=now, lifetime=300)


@given(st.integers(0, 2**40), st.binary(min_size=16, max_size=16), st.sampled_from(FAMILIES))
def test_what_is_minted_is_known_again(now: int, random: bytes, family: NonceFamily) -> None:
    value = mint_nonce(KEY, family, now=now, random=random)
    assert issued_at(KEY, family, value) == now
    assert live(value, family=family, now=now)
    # RFC 9449 §8.1: the characters a DPoP-Nonce header may have.
    assert len(value) == 52
    assert value.isascii()


@pytest.mark.parametrize(
    ("age", "expected"), [(0, True), (1, True), (299, True), (300, False), (10**6, False), (-5, True), (-6, False)]
)
def test_a_nonce_lives_for_its_lifetime(age: int, expected: bool) -> None:
    assert live(NONCE, now=NOW + age) is expected


@pytest.mark.rule("DP-30", "L-02", "D-09")
def test_families_do_not_take_each_others() -> None:
    accepted = {
        (made, asked)
        for made in FAMILIES
        for asked in FAMILIES
        if live(mint_nonce(KEY, made, now=NOW, random=RANDOM), family=asked)
    }
    assert accepted == {(family, family) for family in FAMILIES}


@pytest.mark.rule("M-04")
def test_another_tenants_key_takes_none() -> None:
    assert not live(NONCE, key=OTHER_KEY)


@pytest.mark.rule("DP-28", "L-02")
def test_no_octet_can_be_changed() -> None:
    octets = base64.urlsafe_b64decode(NONCE)
    for index in range(len(octets)):
        for bit in range(8):
            forged = octets[:index] + bytes([octets[index] ^ (1 << bit)]) + octets[index + 1 :]
            assert issued_at(KEY, "c_nonce", base64.urlsafe_b64encode(forged).decode()) is None


@pytest.mark.parametrize("value", ["", "x", NONCE[:-1], NONCE + "A", NONCE[:-4], NONCE + "=", "A" * 52, "é" * 52])
def test_other_texts_are_no_nonces(value: str) -> None:
    assert not live(value)


def test_another_version_of_ours_is_not_taken_for_this_one() -> None:
    body = b"\x02" + NOW.to_bytes(6, "big") + RANDOM
    value = base64.urlsafe_b64encode(body + nonce._mac(KEY, "c_nonce", body)).decode()
    assert len(value) == len(NONCE)
    assert issued_at(KEY, "c_nonce", value) is None


def test_randomness_is_not_forgotten() -> None:
    assert mint_nonce(KEY, "c_nonce", now=NOW, random=b"x" * 16) != NONCE
    with pytest.raises(ValueError, match="16"):
        mint_nonce(KEY, "c_nonce", now=NOW, random=b"")
