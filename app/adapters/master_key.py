"""The master keys: given by the operator, or made on the first start of the embedded default."""

import os
import stat
from pathlib import Path
from typing import Final

from app.ports import Entropy
from app.protocol import base64url
from app.protocol.refusal import Refusal
from app.settings import Settings

KEY_LENGTH: Final = 32
"""Octets: AES-256."""


def load_master_keys(settings: Settings, entropy: Entropy) -> list[bytes]:
    """Return the master keys; the first wraps, all unwrap.

    Without a given key, `master.key` in the data directory is used, and made if it is not there. Raises `Refusal`
    where a key is unusable, or where a generated key would protect a public deployment without the explicit word.
    """
    given = settings.secrets
    if given.master_keys:
        return _decode([key.reveal() for key in given.master_keys], "secrets.master_keys")
    if given.master_key_file is not None:
        return _read(given.master_key_file)
    if not settings.is_loopback and not given.allow_generated_master_key:
        raise _refusal("set secrets.master_keys or secrets.master_key_file: the public URL is not loopback")
    file = settings.data_directory / "master.key"
    if not file.exists():
        try:
            _create(file, entropy)
        except OSError as error:
            raise _refusal(f"{file} cannot be made: {error.strerror}") from None
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise _refusal(f"{file} can be read by others: chmod 600 it")
    return _read(file)


def _create(file: Path, entropy: Entropy) -> None:
    """Write a new key whole or not at all; of two first starts at once, one wins and both read the same key."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{entropy.identifier()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(base64url.encode(entropy.octets(KEY_LENGTH)) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _read(file: Path) -> list[bytes]:
    try:
        lines = file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        raise _refusal(f"{file} cannot be read as a list of keys") from None
    return _decode(lines, str(file))


def _decode(texts: list[str], source: str) -> list[bytes]:
    try:
        keys = [base64url.decode(text) for text in texts]
    except ValueError:
        raise _refusal(f"{source}: a key is not base64url") from None
    if not keys or any(len(key) != KEY_LENGTH for key in keys):
        raise _refusal(f"{source}: give at least one key, each of {KEY_LENGTH} octets in base64url")
    return keys


def _refusal(reason: str) -> Refusal:
    return Refusal("master_key", "The master key cannot be used.", reason=reason)
