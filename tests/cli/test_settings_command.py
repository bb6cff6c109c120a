"""`vestibule` itself, and `vestibule settings`."""

import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import app.cli
from app.cli import COMMANDS, vestibule

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_settings_are_shown_with_their_source_and_without_secrets(runner: CliRunner) -> None:
    environ = {
        "VESTIBULE_DATABASE__URL": "postgresql://person:canary-1@db.example/vestibule?password=canary-2",
        "VESTIBULE_SECRETS__MASTER_KEYS": "canary-3,canary-4",
        "VESTIBULE_DEMO": "true",
    }
    result = runner.invoke(vestibule, ["settings"], env=environ)
    assert result.exit_code == 0, result.output
    assert "canary" not in result.output
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in result.output.splitlines()}
    assert rows["database.url"] == (
        "postgresql://(secret)@db.example/vestibule?(secret) environment VESTIBULE_DATABASE__URL"
    )
    assert rows["secrets.master_keys"] == "(secret), (secret) environment VESTIBULE_SECRETS__MASTER_KEYS"
    assert rows["demo"] == "true environment VESTIBULE_DEMO"
    assert rows["server.port"] == "8000 default"
    assert rows["unsafe:"].startswith("demo: ")


def test_wrong_settings_are_one_clean_message(runner: CliRunner) -> None:
    result = runner.invoke(vestibule, ["settings"], env={"VESTIBULE_SERVER__PROT": "1", "VESTIBULE_DEMO": "x"})
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Error: environment VESTIBULE_DEMO: demo: Expected `bool`, got `str`\n"
        "       environment: VESTIBULE_SERVER__PROT is no setting; did you mean VESTIBULE_SERVER__PORT?\n"
    )


def test_help_and_version_need_no_settings(runner: CliRunner) -> None:
    for arguments in (["--help"], ["--version"], ["dev-cert", "--help"]):
        assert runner.invoke(vestibule, arguments, env={"VESTIBULE_DEMO": "x"}).exit_code == 0


@pytest.mark.parametrize("arguments", [["nothing"], ["--nothing"], ["settings", "nothing"]])
def test_wrong_usage_exits_2(runner: CliRunner, arguments: list[str]) -> None:
    assert runner.invoke(vestibule, arguments).exit_code == 2


def test_what_is_not_reachable_exits_3(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_self: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(app.cli.Invocation, "load", unreachable)
    result = runner.invoke(vestibule, ["settings"])
    assert result.exit_code == 3
    assert "not reachable" in result.stderr


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_of_the_list_is_there(name: str) -> None:
    command = vestibule.get_command(click.Context(vestibule), name)
    assert command is not None
    assert command.help


def test_help_loads_no_framework_and_no_database() -> None:
    program = (
        "import sys; from app.cli import vestibule; vestibule(['--help'], standalone_mode=False);"
        "print(sorted({'litestar', 'sqlalchemy', 'cryptography', 'uvicorn', 'jsonschema'} & set(sys.modules)))"
    )
    started = time.monotonic()
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert time.monotonic() - started < 5
