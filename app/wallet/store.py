"""The wallet's folder: one JSON file per credential, with its holder key, readable by its owner only."""

import json
import os
import re
from pathlib import Path

import msgspec
from msgspec import Struct

from app.protocol import strict_json
from app.wallet.errors import Misused, WalletRefused
from app.wallet.keys import Random

_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")


class StoredCredential(Struct, frozen=True):
    """A credential in the wallet and what it needs to be used."""

    id: str
    credential_issuer: str
    configuration_id: str
    vct: str
    received_at: int
    """Seconds since 1970-01-01 UTC."""
    credential: str
    """The SD-JWT with all disclosures, ending in `~`."""
    holder_key: str
    """The private key the credential is bound to, PEM."""


class Store:
    """Credentials in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_id(self, configuration_id: str, random: Random) -> str:
        """Return an unused name for a credential: its configuration, in plain characters, and some random ones."""
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", configuration_id).strip("-")[:60]
        return f"{plain or 'credential'}-{random(4).hex()}"

    def add(self, stored: StoredCredential) -> Path:
        """Write a new credential and return its file. Raises `WalletRefused` if the folder does not take it."""
        path = self._path(stored.id)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Created for the owner only, and never over another credential or through a link somebody laid out.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(msgspec.structs.asdict(stored), file, indent=2, ensure_ascii=False)
        except OSError as error:
            raise WalletRefused("not_kept", f"cannot write {path}: {error.strerror}") from None
        return path

    def get(self, credential_id: str) -> StoredCredential:
        """Return one credential. Raises `Misused` if there is none of this name."""
        path = self._path(credential_id)
        if not path.is_file():
            raise Misused("unknown_credential", f"{self._folder} holds no credential {credential_id}")
        return read_stored(path.read_bytes(), str(path))

    def all(self) -> list[StoredCredential]:
        """Return every credential, oldest first."""
        found = [read_stored(path.read_bytes(), str(path)) for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda stored: (stored.received_at, stored.id))

    def _path(self, credential_id: str) -> Path:
        if not _ID.fullmatch(credential_id):
            raise Misused("unknown_credential", "this is no name of a credential")
        return self._folder / f"{credential_id}.json"


def read_stored(data: bytes, where: str) -> StoredCredential:
    """Read one stored credential. Raises `WalletRefused` if it is not one."""
    try:
        members = strict_json.parse_object(data)
    except strict_json.Malformed:
        raise WalletRefused("unreadable_credential", f"{where} is broken JSON") from None
    try:
        return msgspec.convert(members, StoredCredential)
    except msgspec.ValidationError as error:
        raise WalletRefused("unreadable_credential", f"{where} is not a credential of this wallet: {error}") from None
