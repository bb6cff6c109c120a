import io
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.person import person_at
from app.cli.wallet import wallet
from app.wallet.errors import Misused, WalletRefused
from app.wallet.presenting import Showing
from app.wallet.store import StoredCredential
from tests.wallet.fakes import ISSUER, NOW, FakeServer

ESCAPE = "\x1b[2J"
STORED = StoredCredential("pid-1", ISSUER, "pid", "urn:eudi:pid:1", NOW, "a.b.c~", "")
SHOWING = Showing(
    query_id="pid",
    stored=STORED,
    sd_jwt="a.b.c~",
    claims={"given_name": f"Erika{ESCAPE}", "address": {"locality": "Köln"}, "parents": {}},
)
NOTHING = Showing(query_id="card", stored=STORED, sd_jwt="a.b.c~", claims={})
PASTED = "https://wallet.example/callback"

Answer = Callable[..., bool]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def agrees(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Ask a person who types this; at a terminal, or where nobody is."""

    def ask(typed: str = "", *, yes: bool = False, terminal: bool = True) -> bool:
        monkeypatch.setattr("sys.stdin", Terminal(typed) if terminal else io.StringIO(typed))
        with person_at(None, PASTED, lambda: NOW, login=None, print_url=True, yes=yes) as person:
            return person.agree(ISSUER, [SHOWING, NOTHING])

    return ask


@pytest.mark.parametrize(("typed", "answer"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_tells_who_asks_for_what_and_takes_a_yes_only(
    agrees: Answer, capsys: pytest.CaptureFixture[str], typed: str, answer: bool
) -> None:
    assert agrees(typed) is answer
    told = capsys.readouterr().out
    assert f"{ISSUER} asks you to present; it will see" in told
    assert f"pid-1: urn:eudi:pid:1 by {ISSUER}" in told
    assert "address.locality  Köln" in told
    assert "given_name        Erika" in told
    assert "parents           (only that it is there)" in told
    assert "nothing but that it is yours" in told
    assert "Present this?" in told
    assert ESCAPE not in told


def test_yes_beforehand_is_told_what_it_meant(agrees: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    assert agrees(yes=True, terminal=False)
    told = capsys.readouterr().out
    assert "Köln" in told
    assert "Present this?" not in told


def test_presents_nothing_where_nobody_is_to_ask(agrees: Answer) -> None:
    with pytest.raises(WalletRefused, match="nobody_to_ask"):
        agrees("y\n", terminal=False)


def test_who_signs_in_says_how(tmp_path: Path) -> None:
    with (
        pytest.raises(Misused),
        person_at(FakeServer({}).http, PASTED, lambda: NOW, login="erika", print_url=True, yes=False),
    ):
        pass
    arguments = ["get", ISSUER, "pid", "--folder", str(tmp_path), "--redirect-uri", PASTED]
    for wrong in (["--via", "web"], ["--dialect", "ia"], ["--holder-key", "old"]):
        assert CliRunner().invoke(wallet, [*arguments, *wrong]).exit_code == 2
