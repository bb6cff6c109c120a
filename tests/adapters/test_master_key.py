"""Master keys: given, or made where that is allowed."""

import stat
from pathlib import Path

import pytest

from app.adapters.master_key import load_master_keys
from app.protocol import base64url
from app.protocol.refusal import Refusal
from app.settings import Settings
from app.settings_reader import load_settings
from tests.support.fakes import CountedEntropy

FIRST, SECOND = (base64url.encode(bytes([number]) * 32) for number in (1, 2))


def settings(folder: Path, **environ: str) -> Settings:
    return load_settings(None, {"VESTIBULE_DATA_DIRECTORY": str(folder), **environ}).settings


def refusal(found: Settings) -> str:
    with pytest.raises(Refusal) as error:
        load_master_keys(found, CountedEntropy())
    return error.value.reason


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    entropy = CountedEntropy()
    keys = load_master_keys(settings(folder), entropy)
    assert [len(key) for key in keys] == [32]
    assert load_master_keys(settings(folder), entropy) == keys
    assert stat.S_IMODE((folder / "master.key").stat().st_mode) == 0o600
    assert [file.name for file in folder.iterdir()] == ["master.key"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    assert refusal(settings(tmp_path / "var")).startswith(f"{tmp_path}/var/master.key cannot be made: ")


def test_of_two_first_starts_one_key_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other start makes its key between our look and our write."""
    theirs = load_master_keys(settings(tmp_path), CountedEntropy())
    monkeypatch.setattr(Path, "exists", lambda _self: False)
    entropy = CountedEntropy()
    entropy.octets(1)
    assert load_master_keys(settings(tmp_path), entropy) == theirs
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


def test_a_public_url_refuses_a_made_key_without_the_word(tmp_path: Path) -> None:
    environ = {"VESTIBULE_PUBLIC_URL": "https://issuer.example"}
    load_master_keys(settings(tmp_path), CountedEntropy())  # also one that is there already
    assert "secrets.master_keys" in refusal(settings(tmp_path, **environ))
    allowed = settings(tmp_path, **environ, VESTIBULE_SECRETS__ALLOW_GENERATED_MASTER_KEY="true")
    assert load_master_keys(allowed, CountedEntropy())


def test_a_made_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_master_keys(settings(tmp_path), CountedEntropy())
    (tmp_path / "master.key").chmod(0o640)
    assert "chmod 600" in refusal(settings(tmp_path))


def test_given_keys_keep_their_order(tmp_path: Path) -> None:
    keys = [b"\x01" * 32, b"\x02" * 32]
    given = settings(tmp_path, VESTIBULE_SECRETS__MASTER_KEYS=f"{FIRST},{SECOND}")
    assert load_master_keys(given, CountedEntropy()) == keys
    file = tmp_path / "keys"
    file.write_text(f"{FIRST}\n{SECOND}\n", encoding="ascii")
    assert load_master_keys(settings(tmp_path, VESTIBULE_SECRETS__MASTER_KEY_FILE=str(file)), CountedEntropy()) == keys
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


@pytest.mark.parametrize("bad", ["canary", FIRST[:-1], FIRST + "A", f"{FIRST},canary!", base64url.encode(bytes(16))])
def test_bad_keys_are_refused_without_showing_them(tmp_path: Path, bad: str) -> None:
    reason = refusal(settings(tmp_path, VESTIBULE_SECRETS__MASTER_KEYS=bad))
    assert reason.startswith("secrets.master_keys: ")
    assert bad not in reason


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_an_unusable_key_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    assert str(file) in refusal(settings(tmp_path, VESTIBULE_SECRETS__MASTER_KEY_FILE=str(file)))
