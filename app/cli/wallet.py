"""`vestibule wallet`: a small wallet that speaks HTTP only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from cryptography.x509 import Certificate

from app.adapters.system import SystemClock, SystemEntropy
from app.cli.dates import day
from app.cli.person import person_at
from app.wallet.answers import Dialect
from app.wallet.authorization import By
from app.wallet.errors import Misused, WalletError
from app.wallet.http import Http
from app.wallet.journey import Choices, HolderKey, Via, Wallet
from app.wallet.keys import WalletKey
from app.wallet.narrator import Narrator, claim_rows, jwt_lines, printable, table
from app.wallet.offer import CredentialOffer, is_offer, read_offer
from app.wallet.store import Store, StoredCredential, read_stored
from app.wallet.verification import Verified, load_anchors, verify_credential

_CLOCK, _ENTROPY = SystemClock(), SystemEntropy()
_File = click.Path(exists=True, dir_okay=False, path_type=Path)
_folder = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("wallet"),
    show_default=True,
    help="Where keys and credentials are kept.",
)
_trust = click.option("--trust", type=_File, help="PEM file with the issuers' trust anchors.")
_trace = click.option("--trace", is_flag=True, help="Show whole messages, decoded JWTs and disclosures; holds secrets.")


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what stops the wallet into one line on standard error and an exit code."""
    try:
        yield
    except WalletError as error:
        click.echo(printable(f"{error.label}: {error}"), err=True)
        raise click.exceptions.Exit(error.exit_code) from error


@click.group
def wallet() -> None:
    """Get, keep and verify credentials as a wallet does."""


@wallet.command
@click.argument("target", metavar="ISSUER|OFFER")
@click.argument("configurations", metavar="[CONFIGURATION]...", nargs=-1)
@_folder
@click.option("--client-id", default="demo-wallet", show_default=True, help="Who the wallet says it is.")
@click.option("--redirect-uri", help="Where the web page sends back to; else a loopback listener of the wallet's own.")
@click.option("--login", metavar="USER:PASSWORD", help="Sign in and agree by itself, for demonstrations.")
@click.option("--agree", is_flag=True, help="Agree on web pages by itself, without signing in.")
@click.option("--print-url", is_flag=True, help="Print the web page's address; do not open a browser.")
@click.option("--yes", is_flag=True, help="Present what is asked for without asking.")
@click.option(
    "--present", metavar="ID", multiple=True, help="Present this credential only, or these; else the newest that fits."
)
@click.option("--by", type=click.Choice(["scope", "details"]), default="scope", help="Ask by scope or by details.")
@click.option(
    "--via",
    type=click.Choice(["par", "interactive"]),
    help="Where to ask for authorization; else interactively wherever the server has an endpoint for it.",
)
@click.option(
    "--dialect",
    type=click.Choice(["urn", "bare"]),
    default="urn",
    show_default=True,
    help="How interaction types are spelled: as URNs, or as earlier drafts did.",
)
@click.option(
    "--holder-key",
    type=click.Choice(["same", "new"]),
    help="Bind to the key that was presented, or to a new one; else the same if something was presented, for issuers"
    " may demand it. Whoever sees two credentials of one key knows that they belong together.",
)
@click.option("--ca", type=_File, help="PEM file with the authority of the server's TLS certificate.")
@_trust
@_trace
def get(
    target: str,
    configurations: Sequence[str],
    folder: Path,
    client_id: str,
    redirect_uri: str | None,
    login: str | None,
    agree: bool,
    print_url: bool,
    yes: bool,
    present: Sequence[str],
    by: By,
    via: Via | None,
    dialect: Dialect,
    holder_key: HolderKey | None,
    ca: Path | None,
    trust: Path | None,
    trace: bool,
) -> None:
    """Get credentials of an ISSUER, or what an OFFER (link or JSON) offers; with names, only those of it."""
    with _failures():
        narrator = Narrator(click.echo, trace=trace)
        http = Http(narrator.exchange, ca_file=ca)
        offer = _offer(target, tuple(configurations), http)
        choices = Choices(by=by, via=via, dialect=dialect, present=present, holder_key=holder_key)
        holder = Wallet(
            http=http,
            store=Store(folder),
            client_id=client_id,
            anchors=_anchors(trust),
            now=_CLOCK.now,
            random=_ENTROPY.octets,
        )
        browser = Http(narrator.exchange, ca_file=ca) if login or agree else None
        with person_at(browser, redirect_uri, _CLOCK.now, login=login, print_url=print_url, yes=yes) as person:
            for stored, verified in holder.get(offer, choices, person):
                click.echo()
                _print_credential(stored.configuration_id, verified)
                click.echo(f"\nkept as {stored.id} in {folder}")


@wallet.command(name="list")
@_folder
def list_credentials(folder: Path) -> None:
    """List the credentials in the folder."""
    with _failures():
        rows = [
            (each.id, f"{day(each.received_at)}  {each.vct}  {each.credential_issuer}") for each in Store(folder).all()
        ]
    for line in table(rows, indent="") or [f"no credentials in {folder}"]:
        click.echo(line)


@wallet.command
@click.argument("credential_id", metavar="ID")
@_folder
@_trust
@_trace
def show(credential_id: str, folder: Path, trust: Path | None, trace: bool) -> None:
    """Show a credential's claims and what is known of it."""
    with _failures():
        stored = Store(folder).get(credential_id)
        verified = _verify_stored(stored, trust)
    for line in table([("issuer", stored.credential_issuer), ("received", day(stored.received_at))]):
        click.echo(line)
    click.echo()
    _print_credential(stored.configuration_id, verified, stored.credential if trace else None)


@wallet.command
@click.argument("credential", metavar="ID|FILE")
@_folder
@_trust
@_trace
def verify(credential: str, folder: Path, trust: Path | None, trace: bool) -> None:
    """Verify a credential of the folder, or a file with an SD-JWT VC."""
    with _failures():
        file = Path(credential)
        if not file.is_file():
            stored = Store(folder).get(credential)
            text, verified = stored.credential, _verify_stored(stored, trust)
        elif file.suffix == ".json":
            stored = read_stored(file.read_bytes(), credential)
            text, verified = stored.credential, _verify_stored(stored, trust)
        else:
            text = file.read_text("utf-8", "replace").strip()
            verified = verify_credential(text, now=_CLOCK.now(), anchors=_anchors(trust))
    _print_credential(credential, verified, text if trace else None)


def _offer(target: str, configurations: tuple[str, ...], http: Http) -> CredentialOffer:
    if not is_offer(target):
        if not configurations:
            raise Misused("missing_configuration", "name a CONFIGURATION of the issuer, or give an offer")
        return CredentialOffer(target, configurations)
    offer = read_offer(target, http)
    if unknown := set(configurations) - set(offer.configuration_ids):
        raise Misused("not_offered", f"the offer does not hold {', '.join(sorted(unknown))}")
    if not configurations:
        return offer
    return CredentialOffer(offer.credential_issuer, configurations, offer.issuer_state, offer.authorization_server)


def _anchors(trust: Path | None) -> list[Certificate] | None:
    return None if trust is None else load_anchors(trust)


def _verify_stored(stored: StoredCredential, trust: Path | None) -> Verified:
    return verify_credential(
        stored.credential,
        now=_CLOCK.now(),
        anchors=_anchors(trust),
        holder_key=WalletKey.from_pem(stored.holder_key),
        vct=stored.vct,
    )


def _print_credential(name: str, verified: Verified, credential: str | None = None) -> None:
    click.echo(f"{printable(name)}: verified{'' if verified.anchored else ', all but who the issuer is'}")
    for line in table(verified.checks):
        click.echo(line)
    click.echo("\nclaims")
    for line in table(claim_rows(verified.claims)):
        click.echo(line)
    if credential is not None:
        click.echo("\nas issued")
        for line in jwt_lines(credential):
            click.echo(f"  {printable(line)}")
