"""The person a wallet belongs to, at this terminal: their browser, and their yes or no."""

import sys
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import click

from app.wallet.addresses import is_loopback
from app.wallet.authorization import Browse
from app.wallet.browser import LoopbackListener
from app.wallet.errors import Misused, WalletRefused
from app.wallet.forms import Login, PageDriver
from app.wallet.http import Http
from app.wallet.journey import Person
from app.wallet.keys import Now
from app.wallet.narrator import claim_rows, printable, table
from app.wallet.presenting import Agree, Showing


@contextmanager
def person_at(
    browser: Http | None, redirect_uri: str | None, now: Now, *, login: str | None, print_url: bool, yes: bool
) -> Iterator[Person]:
    """Give the person: at their own browser and a listener, pasting where nothing can listen, or driven in `browser`.

    `login` is what they sign in with there, `yes` their answer to all questions. Raises `Misused`.
    """
    agree = _told(yes=yes)

    def driver(way_back: str, otherwise: Browse) -> Browse:
        return otherwise if browser is None else PageDriver(browser, way_back, _login(login))

    if redirect_uri is not None and not _can_listen(redirect_uri):
        browse = driver(redirect_uri, _ask_for_redirect)
        yield Person(redirect_uri=redirect_uri, browse=browse, agree=agree)
        return
    with LoopbackListener(now, redirect_uri) as listener:

        def send_to_browser(authorize_url: str) -> str:
            opened = not print_url and webbrowser.open(authorize_url)
            click.echo(f"\n  {'Opened' if opened else 'Open'} in a browser: {authorize_url}\n")
            return listener.wait()

        browse = driver(listener.redirect_uri, send_to_browser)
        yield Person(redirect_uri=listener.redirect_uri, browse=browse, agree=agree)


def _told(*, yes: bool) -> Agree:
    """Return who tells what is to be presented to whom, and asks unless the answer is `yes` already."""

    def agree(verifier: str, showings: Sequence[Showing]) -> bool:
        click.echo(f"\n  {printable(verifier)} asks you to present; it will see")
        for showing in showings:
            stored = showing.stored
            click.echo(f"\n    {stored.id}: {printable(stored.vct)} by {printable(stored.credential_issuer)}")
            # Empty: as it was issued, or because all that is in it is withheld.
            rows = table(claim_rows(showing.claims, empty="(only that it is there)"), indent="      ")
            for line in rows or ["      nothing but that it is yours"]:
                click.echo(line)
        click.echo()
        if yes:
            return True
        if not sys.stdin.isatty():
            raise WalletRefused("nobody_to_ask", "presenting needs your yes: at a terminal, or by --yes beforehand")
        return click.confirm("  Present this?")

    return agree


def _can_listen(redirect_uri: str) -> bool:
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")


def _login(login: str | None) -> Login | None:
    if login is None:
        return None
    username, colon, password = login.partition(":")
    if not colon:
        raise Misused("login", "--login is USER:PASSWORD")
    return Login(username, password)


def _ask_for_redirect(authorize_url: str) -> str:
    click.echo(f"\n  Open in a browser: {authorize_url}\n")
    answer: str = click.prompt("  The address you were sent to")
    return answer
