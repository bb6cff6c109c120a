"""The `vestibule` command: one file per noun, loaded when it is called."""

import importlib
import os
import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import click

import app
from app.protocol.refusal import Refusal
from app.settings import Settings
from app.settings_reader import Loaded, SettingsError, load_settings

COMMANDS: Final[Mapping[str, str]] = {
    "serve": "Run the service.",
    "tenant": "Validate, apply, compare, show and export tenant documents.",
    "keys": "List, import, export, rotate and retire keys.",
    "offer": "Make a credential offer: link and QR code.",
    "wallet": "A small wallet for demonstrations and tests.",
    "db": "Upgrade and check the database.",
    "jobs": "List the jobs, and run them now.",
    "settings": "Show the settings in effect and where they came from.",
    "dev-cert": "Make a development CA and a server certificate.",
}
"""Command → help. `dev-cert` is the function `dev_cert` of the module `app.cli.dev_cert`."""


class NotReachable(click.ClickException):
    """What the command talks to does not answer."""

    exit_code = 3


class Invocation:
    """What a command can ask for (`@click.pass_obj`); settings are read when they are first needed."""

    def __init__(self, config: Path | None, environ: Mapping[str, str]) -> None:
        self._config = config
        self._environ = environ

    @cached_property
    def settings(self) -> Settings:
        """The settings. Raises `SettingsError`."""
        return self.load().settings

    def load(self, options: Mapping[str, str | None] | None = None) -> Loaded:
        """Read the settings with a command's own options (by dotted path) on top. Raises `SettingsError`."""
        return load_settings(self._config, self._environ, options)


class _LazyGroup(click.Group):
    """Knows its commands by name, so that help and short commands do not import the whole service."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"app.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it refuses becomes one message on standard error and an exit code."""
        try:
            return super().invoke(ctx)
        except Refusal as refusal:
            raise click.ClickException(refusal.reason) from refusal
        except SettingsError as error:
            raise click.ClickException("\n       ".join(error.problems)) from error
        except (ConnectionRefusedError, TimeoutError, socket.gaierror) as error:
            raise NotReachable(f"not reachable: {error}") from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if (told := _told(error)) is None:
                raise
            raise told from error


def _told(error: Exception) -> click.ClickException | None:
    """Return how a failure of the database or of the vault is told; None for any other."""
    # Imported here: short commands do without them.
    from app.adapters.vault import SealBroken
    from app.ports import DatabaseUnavailable

    match error:
        case DatabaseUnavailable():
            return NotReachable(f"not reachable: the database is away or busy ({error})")
        case SealBroken():
            return click.ClickException(f"{error} (is the master key the one of this database?)")
        case _:
            return None


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file; else VESTIBULE_CONFIG, else config/vestibule.toml.",
)
@click.version_option(app.__version__, prog_name="vestibule")
@click.pass_context
def vestibule(context: click.Context, config: Path | None) -> None:
    """Interactive credential issuance: an OpenID4VCI authorization server and credential issuer.

    Exit codes: 0 done, 1 refused, 2 usage, 3 not reachable.
    """
    context.obj = Invocation(config, os.environ)
