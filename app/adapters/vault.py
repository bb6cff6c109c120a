"""Sealing: AES-256-GCM under numbered data keys of each tenant, which are wrapped by the operator's master keys.

Sealed value: version (1 octet) ‖ number of the data key (4 octets) ‖ nonce (12 octets) ‖ ciphertext and tag. The
associated data name the exact place, so a value that was moved to another row, column or tenant does not open (M-12).
There is no way to read anything else than this form: no plaintext, no other version (M-14).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from app.ports import Entropy

KEY_LENGTH: Final = 32
KEY_NUMBER: Final = slice(1, 5)
"""Where a sealed value names its data key, big-endian."""
_VERSION: Final = 1
_NONCE: Final = 12
_TAG: Final = 16
_HEADER: Final = KEY_NUMBER.stop


class SealBroken(Exception):
    """A sealed value or wrapped key does not open: moved, altered, of an unknown form, or its key is not there."""


class WrappedKey(Struct, frozen=True):
    """A tenant's data key as it is stored."""

    number: int
    master_key_id: str
    wrapped: bytes


class MasterKeys:
    """The operator's master keys, in order: the first wraps, all unwrap."""

    def __init__(self, keys: Sequence[bytes], entropy: Entropy) -> None:
        if not keys or any(len(key) != KEY_LENGTH for key in keys):
            raise ValueError(f"master keys: at least one, each of {KEY_LENGTH} octets")
        self._ciphers = {hashlib.sha256(key).hexdigest()[:8]: AESGCM(key) for key in keys}
        self._entropy = entropy

    @property
    def first(self) -> str:
        """The identifier of the key that wraps: the first 8 hexadecimal digits of its SHA-256."""
        return next(iter(self._ciphers))

    @property
    def identifiers(self) -> list[str]:
        """Of every key, in order."""
        return list(self._ciphers)

    def wrap(self, tenant_id: str, number: int, data_key: bytes) -> WrappedKey:
        """Wrap a data key for storage."""
        nonce = self._entropy.octets(_NONCE)
        place = _place(self.first, tenant_id, "data_keys", "wrapped", str(number))
        ciphertext = self._ciphers[self.first].encrypt(nonce, data_key, place)
        return WrappedKey(number, self.first, bytes([_VERSION]) + nonce + ciphertext)

    def unwrap(self, tenant_id: str, key: WrappedKey) -> bytes:
        """Return the data key. Raises `SealBroken` where no master key opens it."""
        cipher = self._ciphers.get(key.master_key_id)
        if cipher is None:
            raise SealBroken("data key is wrapped by a master key that was not given")
        if len(key.wrapped) != 1 + _NONCE + KEY_LENGTH + _TAG or key.wrapped[0] != _VERSION:
            raise SealBroken("data key is not in the known form")
        place = _place(key.master_key_id, tenant_id, "data_keys", "wrapped", str(key.number))
        return _decrypt(cipher, key.wrapped[1 : 1 + _NONCE], key.wrapped[1 + _NONCE :], place)


class DataKeys:
    """The opened data keys of one tenant, by number. Raises `SealBroken` where there is none."""

    def __init__(self, tenant_id: str, data_keys: Mapping[int, bytes]) -> None:
        if not data_keys:
            raise SealBroken("the tenant has no data key")
        self.tenant_id = tenant_id
        self.newest = max(data_keys)
        self.ciphers = {number: AESGCM(key) for number, key in data_keys.items()}
        # The first data key stays as long as the tenant, so derived keys do not change when keys are added.
        self._root = data_keys[min(data_keys)]
        self._derived: dict[str, bytes] = {}

    def derive(self, purpose: str) -> bytes:
        """Return the tenant's 256-bit key for a purpose (HKDF-SHA256); the same for the tenant's whole life."""
        if purpose not in self._derived:
            info = msgspec.json.encode([_VERSION, self.tenant_id, purpose])
            self._derived[purpose] = HKDF(SHA256(), KEY_LENGTH, salt=None, info=info).derive(self._root)
        return self._derived[purpose]


class TenantVault:
    """Seals and opens the values of one tenant in one transaction. New values are sealed under the newest data key.

    `read_again` returns the data keys there are now: another process may have added one after these were read.
    """

    def __init__(self, keys: DataKeys, entropy: Entropy, read_again: Callable[[], DataKeys]) -> None:
        self._keys = keys
        self._entropy = entropy
        self._read_again = read_again

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        return self._keys.tenant_id

    @property
    def newest(self) -> int:
        """The number of the data key that seals."""
        return self._keys.newest

    def refresh(self) -> None:
        """Read the data keys again."""
        self._keys = self._read_again()

    def seal(self, table: str, column: str, row_id: str, plaintext: bytes) -> bytes:
        """Seal a value for its place. `row_id` is made by the application and never changes."""
        nonce = self._entropy.octets(_NONCE)
        place = _place(self.newest, self.tenant_id, table, column, row_id)
        ciphertext = self._keys.ciphers[self.newest].encrypt(nonce, plaintext, place)
        return bytes([_VERSION]) + self.newest.to_bytes(4) + nonce + ciphertext

    def open(self, table: str, column: str, row_id: str, sealed: bytes) -> bytes:
        """Open a value at its place. Raises `SealBroken`."""
        number = key_number(sealed)
        if number not in self._keys.ciphers:
            self.refresh()
        cipher = self._keys.ciphers.get(number)
        if cipher is None:
            raise SealBroken(f"{table}.{column}: sealed under unknown data key {number}")
        nonce, ciphertext = sealed[_HEADER : _HEADER + _NONCE], sealed[_HEADER + _NONCE :]
        return _decrypt(cipher, nonce, ciphertext, _place(number, self.tenant_id, table, column, row_id))

    def derive(self, purpose: str) -> bytes:
        """Return the tenant's 256-bit key for a purpose; the same for the tenant's whole life."""
        return self._keys.derive(purpose)


def key_number(sealed: bytes) -> int:
    """Return the number of the data key a value is sealed under. Raises `SealBroken` where the form is unknown."""
    if len(sealed) < _HEADER + _NONCE + _TAG or sealed[0] != _VERSION:
        raise SealBroken("value is not in the known sealed form")
    return int.from_bytes(sealed[KEY_NUMBER])


def _place(key_id: int | str, tenant_id: str, table: str, column: str, row_id: str) -> bytes:
    return msgspec.json.encode([_VERSION, key_id, tenant_id, table, column, row_id])


def _decrypt(cipher: AESGCM, nonce: bytes, ciphertext: bytes, place: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, ciphertext, place)
    except InvalidTag:
        raise SealBroken("sealed value does not open at this place") from None
