"""People's passwords."""

import asyncio
import threading

import pytest

from app.adapters.passwords import Argon2Passwords
from tests.support.fakes import CountedEntropy


@pytest.fixture(scope="module")
def passwords() -> Argon2Passwords:
    return Argon2Passwords(CountedEntropy())


async def test_a_password_matches_its_hash_only(passwords: Argon2Passwords) -> None:
    encoded = await passwords.hash("mustermann")
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.matches("mustermann", encoded) is True
    assert await passwords.matches("Mustermann", encoded) is False
    assert encoded != await passwords.hash("mustermann")


async def test_the_same_text_in_another_unicode_form_is_the_same_password(passwords: Argon2Passwords) -> None:
    assert await passwords.matches("u\u0308ber", await passwords.hash("\u00fcber")) is True


async def test_nobody_and_a_broken_hash_match_nothing(passwords: Argon2Passwords) -> None:
    assert await passwords.matches("", None) is False
    assert await passwords.matches("mustermann", None) is False
    assert await passwords.matches("mustermann", "$argon2id$nonsense") is False


async def test_for_nobody_the_same_work_is_done_off_the_loop(
    passwords: Argon2Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[tuple[str, bool]] = []
    verify = passwords._verify

    def watched(password: str, encoded: str) -> bool:
        verified.append((encoded.rsplit("$", 2)[0], threading.current_thread() is threading.main_thread()))
        return verify(password, encoded)

    monkeypatch.setattr(passwords, "_verify", watched)
    await passwords.matches("mustermann", await passwords.hash("mustermann"))
    await passwords.matches("mustermann", None)
    assert verified == [("$argon2id$v=19$m=19456,t=2,p=1", False)] * 2


async def test_only_a_few_hashes_run_at_once(passwords: Argon2Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    running = most = 0
    lock = threading.Lock()
    hash_ = passwords._hash

    def watched(password: str, salt: bytes) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return hash_(password, salt)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(passwords, "_hash", watched)
    await asyncio.gather(*(passwords.hash("mustermann") for _ in range(12)))
    assert most <= 2
