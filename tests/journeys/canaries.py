"""Canaries: values that occur nowhere else, and the search for them in what a service leaves behind."""

import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping

from app.adapters.db.engine import sqlite_file


def canary(name: str) -> str:
    """Return a long value that occurs nowhere else."""
    return f"Canary-{name}-{secrets.token_hex(16)}"


def written_forms(value: bytes) -> Iterator[bytes]:
    """Yield how a value may be written: as it is, hexadecimal, base64, escaped for JSON."""
    yield value
    yield value.hex().encode()
    # Wherever it begins in what was encoded, base64 has these characters of it.
    for skipped in range(3):
        whole = value[skipped : skipped + (len(value) - skipped) // 3 * 3]
        yield base64.b64encode(whole)
        yield base64.urlsafe_b64encode(whole)
    with contextlib.suppress(UnicodeDecodeError):
        yield json.dumps(value.decode()).strip('"').encode()


def digested_forms(value: bytes) -> Iterator[bytes]:
    """Yield its plain digests, from which a value that can be guessed is found out (M-16)."""
    for algorithm in ("sha256", "sha1", "md5"):
        digest = hashlib.new(algorithm, value, usedforsecurity=False).digest()
        yield digest
        yield digest.hex().encode()


def found(remains: bytes, secrets_by_name: Mapping[str, bytes], *, guessable: Iterable[str] = ()) -> set[str]:
    """Return the names of the secrets that occur in what a service left behind, in any form."""
    guessed = set(guessable)
    return {
        name
        for name, value in secrets_by_name.items()
        if any(form in remains for form in written_forms(value))
        or (name in guessed and any(form in remains for form in digested_forms(value)))
    }


def database_files(url: str) -> bytes:
    """Return the octets of a SQLite database with its write-ahead log, as they lie on the disk."""
    file = sqlite_file(url)
    assert file is not None
    files = sorted(file.parent.glob(f"{file.name}*"))
    assert files
    return b"".join(one.read_bytes() for one in files)
