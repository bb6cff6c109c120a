"""The whole way from an offer to verified credentials in the folder."""

from collections.abc import Iterator, Sequence
from typing import Literal

from cryptography.x509 import Certificate
from msgspec import Struct

from app.wallet.answers import Dialect
from app.wallet.authorization import Browse, By, Token, authorize_by_push, new_request, redeem_code
from app.wallet.discovery import (
    AuthorizationServer,
    Configuration,
    CredentialIssuer,
    choose_server,
    discover_issuer,
    discover_server,
)
from app.wallet.dpop import DpopSender
from app.wallet.errors import WalletRefused
from app.wallet.http import Http
from app.wallet.interactive import authorize_interactively
from app.wallet.issuance import fetch_nonce, request_credential
from app.wallet.keys import Now, Random, WalletKey
from app.wallet.offer import CredentialOffer
from app.wallet.presenting import Agree, Presenter
from app.wallet.store import Store, StoredCredential
from app.wallet.verification import Verified, verify_credential

Via = Literal["par", "interactive"]
"""How authorization is asked for: by a pushed request and a browser, or at the interactive endpoint."""

HolderKey = Literal["same", "new"]
"""What a credential is bound to: the key that was presented for it, or a fresh one."""


class Choices(Struct, frozen=True, kw_only=True):
    """How the wallet is to go about an errand; what is None it decides itself."""

    by: By = "scope"
    via: Via | None = None
    dialect: Dialect = "urn"
    present: Sequence[str] = ()
    """Ids of the credentials that may be presented; empty: all."""
    holder_key: HolderKey | None = None


class Person(Struct, frozen=True, kw_only=True):
    """Whom the wallet belongs to, and how to reach them."""

    redirect_uri: str
    """Where their browser comes back to."""
    browse: Browse
    agree: Agree


class Wallet(Struct, frozen=True, kw_only=True):
    """A wallet: where it keeps things, how it speaks, and who it says it is."""

    http: Http
    store: Store
    client_id: str
    anchors: Sequence[Certificate] | None
    """What issuer certificates must lead to; None leaves them unchecked."""
    now: Now
    random: Random

    def get(
        self, offer: CredentialOffer, choices: Choices, person: Person
    ) -> Iterator[tuple[StoredCredential, Verified]]:
        """Get everything the offer names, one credential after the other, verified before it is kept.

        Raises `WalletError`; what was given out until then is kept.
        """
        issuer = discover_issuer(self.http, offer.credential_issuer)
        configurations = [issuer.configuration(each) for each in offer.configuration_ids]
        server = discover_server(self.http, choose_server(issuer, offer))
        via = choose_way(server, choices.via)
        # A key for this errand only: nothing else links two visits of the wallet.
        sender = DpopSender(self.http, WalletKey.generate(), now=self.now, random=self.random)
        request = new_request(
            issuer,
            configurations,
            client_id=self.client_id,
            redirect_uri=person.redirect_uri,
            by=choices.by,
            issuer_state=offer.issuer_state,
            random=self.random,
        )
        presenter = Presenter(self.store, only=choices.present, agree=person.agree, now=self.now)
        if via == "par":
            code = authorize_by_push(sender, server, request, browse=person.browse)
        else:
            code = authorize_interactively(
                sender, server, request, dialect=choices.dialect, browse=person.browse, presenter=presenter
            )
        shared_key = _shared_key(choices.holder_key, presenter.used_keys)
        token = redeem_code(sender, server, request, code)
        for configuration in configurations:
            for identifier in _identifiers(token, configuration):
                holder_key = shared_key or WalletKey.generate()
                yield self._get_one(sender, issuer, configuration, token, identifier, holder_key)

    def _get_one(
        self,
        sender: DpopSender,
        issuer: CredentialIssuer,
        configuration: Configuration,
        token: Token,
        identifier: str | None,
        holder_key: WalletKey,
    ) -> tuple[StoredCredential, Verified]:
        credential = request_credential(
            sender,
            issuer,
            configuration,
            token,
            holder_key,
            identifier=identifier,
            c_nonce=fetch_nonce(self.http, sender, issuer),
            client_id=self.client_id,
            now=self.now,
        )
        verified = verify_credential(
            credential, now=self.now(), anchors=self.anchors, holder_key=holder_key, vct=configuration.vct
        )
        stored = StoredCredential(
            id=self.store.new_id(configuration.id, self.random),
            credential_issuer=issuer.identifier,
            configuration_id=configuration.id,
            vct=configuration.vct,
            received_at=self.now(),
            credential=credential,
            holder_key=holder_key.to_pem(),
        )
        self.store.add(stored)
        return stored, verified


def choose_way(server: AuthorizationServer, via: Via | None) -> Via:
    """Return where to ask: at the interactive endpoint where there is one, for only there can everything be asked for.

    Raises `WalletRefused` if the server says that it does not take `via`.
    """
    if via == "par" and server.interactive_required:
        raise WalletRefused("interactive_required", "the authorization server takes requests interactively only")
    if via is not None:
        return via
    return "par" if server.interactive_authorization_endpoint is None else "interactive"


def _shared_key(wish: HolderKey | None, used_keys: Sequence[WalletKey]) -> WalletKey | None:
    """Return the key to bind everything to, the one presented first, or None for a fresh one each."""
    if wish == "new" or (wish is None and not used_keys):
        return None
    if not used_keys:
        raise WalletRefused("no_key", "nothing was presented whose key the credential could be bound to")
    return used_keys[0]


def _identifiers(token: Token, configuration: Configuration) -> Sequence[str | None]:
    """Return what to ask for: the identifiers the token names, or None for the configuration as such."""
    if not token.identifiers:
        return [None]
    # RFC 9396 §7: the person may have granted less than was asked for.
    if configuration.id not in token.identifiers:
        raise WalletRefused("not_granted", f"{configuration.id} was not granted")
    return token.identifiers[configuration.id]
