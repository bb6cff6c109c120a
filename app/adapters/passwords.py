"""People's passwords: Argon2id, in a few threads of their own."""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.ports import Entropy

_SALT: Final = 16
_THREADS: Final = 2
"""At most this many hashes at once, each of about 20 ms and 19 MiB; further ones wait."""


class Argon2Passwords:
    """`Passwords` with Argon2id, 19 MiB, two passes, one lane."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")
        self._nobody = self._hash("", entropy.octets(_SALT))

    async def hash(self, password: str) -> str:
        """Return the encoded hash."""
        salt = self._entropy.octets(_SALT)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hash, password, salt)

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Compare; with `encoded` None the same work is done and the answer is False."""
        same = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._verify, password, encoded or self._nobody
        )
        return same and encoded is not None

    def _hash(self, password: str, salt: bytes) -> str:
        return self._hasher.hash(_octets(password), salt=salt)

    def _verify(self, password: str, encoded: str) -> bool:
        try:
            return self._hasher.verify(encoded, _octets(password))
        except (VerificationError, InvalidHashError):
            return False


def _octets(password: str) -> bytes:
    # RFC 8265 §4.2.2: the same text typed on another keyboard is the same password.
    return unicodedata.normalize("NFC", password).encode()
