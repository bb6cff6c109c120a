import json
import stat
from pathlib import Path

import pytest

from app.wallet.errors import Misused, WalletRefused
from app.wallet.keys import WalletKey
from app.wallet.store import Store, StoredCredential
from tests.wallet.fakes import ISSUER, NOW, octets


def stored(store: Store, configuration_id: str = "pid", received_at: int = NOW) -> StoredCredential:
    pem = WalletKey.generate().to_pem()
    identifier = store.new_id(configuration_id, octets)
    return StoredCredential(identifier, ISSUER, configuration_id, "urn:eudi:pid:1", received_at, "a.b.c~", pem)


def test_keeps_credentials_for_the_owner_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "wallet")
    newer, older = stored(store), stored(store, received_at=NOW - 1)
    path = store.add(newer)
    store.add(older)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert store.get(newer.id) == newer
    assert store.all() == [older, newer]
    with pytest.raises(WalletRefused, match="not_kept"):
        store.add(newer)


def test_an_issuer_cannot_choose_the_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "wallet")
    assert store.add(stored(store, "../../etc/passwd")).parent == tmp_path / "wallet"
    assert store.new_id("???", octets).startswith("credential-")
    for name in ("../wallet", "a/b", "", "unknown"):
        with pytest.raises(Misused):
            store.get(name)


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_refuses_foreign_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(WalletRefused):
        Store(tmp_path).all()


def test_refuses_a_broken_key_file(tmp_path: Path) -> None:
    path = Store(tmp_path).add(stored(Store(tmp_path)))
    members = json.loads(path.read_text())
    path.write_text(json.dumps(members | {"received_at": "now"}))
    with pytest.raises(WalletRefused, match="received_at"):
        Store(tmp_path).get(path.stem)
    with pytest.raises(WalletRefused):
        WalletKey.from_pem("no key")


def test_keys_survive_storing() -> None:
    key = WalletKey.generate()
    assert WalletKey.from_pem(key.to_pem()).public_jwk == key.public_jwk
