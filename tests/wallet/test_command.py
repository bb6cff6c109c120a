from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.adapters.system import SystemClock
from app.cli.wallet import wallet
from app.wallet.journey import Choices, Wallet
from app.wallet.keys import WalletKey
from app.wallet.store import Store, StoredCredential
from app.wallet.verification import NO_ANCHOR
from tests.wallet.certificates import VCT, TestIssuer
from tests.wallet.fakes import ISSUER

ISSUED_BY = TestIssuer()


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(wallet, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    holder, now = WalletKey.generate(), SystemClock().now()
    credential = ISSUED_BY.issue(holder.public_jwk, issued_at=now)
    folder = tmp_path / "wallet"
    Store(folder).add(StoredCredential("pid-1", ISSUER, "pid", VCT, now, credential, holder.to_pem()))
    (tmp_path / "pid.sdjwt").write_text(credential + "\n")
    (tmp_path / "ca.pem").write_bytes(ISSUED_BY.ca_pem)
    (tmp_path / "other.pem").write_bytes(TestIssuer().ca_pem)
    return folder


def test_lists_shows_and_verifies(folder: Path) -> None:
    listed = run("list", "--folder", folder)
    assert (listed.exit_code, listed.output.split()[0]) == (0, "pid-1")
    shown = run("show", "pid-1", "--folder", folder)
    assert shown.exit_code == 0
    assert "address.locality  KÖLN" in shown.output
    assert NO_ANCHOR in shown.output
    for what in ("pid-1", folder / "pid-1.json", folder.parent / "pid.sdjwt"):
        verified = run("verify", what, "--folder", folder, "--trust", folder.parent / "ca.pem", "--trace")
        assert verified.exit_code == 0
        assert "issuer certificate leads to a trust anchor" in verified.output
        assert '"given_name", "Erika"]' in verified.output
        assert NO_ANCHOR not in verified.output


def test_exit_codes(folder: Path) -> None:
    refused = run("verify", "pid-1", "--folder", folder, "--trust", folder.parent / "other.pem")
    assert refused.exit_code == 1
    assert "the wallet refused: bad_credential: " in refused.output
    assert "verified" not in refused.output
    assert run("show", "unknown", "--folder", folder).exit_code == 2
    assert run("get", ISSUER, "--folder", folder).exit_code == 2
    assert run("get", "http://issuer.example/pid", "pid", "--folder", folder).exit_code == 1
    unreachable = run("get", "http://localhost:1/pid-provider", "pid", "--folder", folder, "--login", "erika:x")
    assert unreachable.exit_code == 3
    assert "not reachable" in unreachable.output


def test_an_empty_folder(tmp_path: Path) -> None:
    assert run("list", "--folder", tmp_path / "none").output == f"no credentials in {tmp_path / 'none'}\n"


def test_options_become_choices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[Choices] = []

    def get(_: Wallet, offer: object, choices: Choices, person: object) -> Iterator[Any]:
        made.append(choices)
        return iter(())

    monkeypatch.setattr(Wallet, "get", get)
    options = "--by details --via par --dialect bare --holder-key new --present a --present b"
    for chosen in ("", options):
        done = run("get", ISSUER, "pid", "--folder", tmp_path, *chosen.split())
        assert done.exit_code == 0
    assert made == [
        Choices(),
        Choices(by="details", via="par", dialect="bare", holder_key="new", present=("a", "b")),
    ]
