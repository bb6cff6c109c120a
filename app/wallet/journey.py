"""The whole way from an offer to verified credentials in the folder."""

from collections.abc import Callable, Iterator, Sequence

from cryptography.x509 import Certificate
from msgspec import Struct

from app.wallet.authorization import By, Token, push_request, read_redirect, redeem_code
from app.wallet.discovery import (
    Configuration,
    CredentialIssuer,
    choose_server,
    discover_issuer,
    discover_server,
)
from app.wallet.dpop import DpopSender
from app.wallet.errors import WalletRefused
from app.wallet.http import Http
from app.wallet.issuance import fetch_nonce, request_credential
from app.wallet.keys import Now, Random, WalletKey
from app.wallet.offer import CredentialOffer
from app.wallet.store import Store, StoredCredential
from app.wallet.verification import Verified, verify_credential

Person = Callable[[str], str]
"""Sends somebody to the authorization endpoint's address and returns the address their browser came back to."""


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
        self, offer: CredentialOffer, *, by: By, redirect_uri: str, person: Person
    ) -> Iterator[tuple[StoredCredential, Verified]]:
        """Get everything the offer names, one credential after the other, verified before it is kept.

        Raises `WalletError`; what was given out until then is kept.
        """
        issuer = discover_issuer(self.http, offer.credential_issuer)
        configurations = [issuer.configuration(each) for each in offer.configuration_ids]
        server = discover_server(self.http, choose_server(issuer, offer))
        # A key for this errand only: nothing else links two visits of the wallet.
        sender = DpopSender(self.http, WalletKey.generate(), now=self.now, random=self.random)
        pushed = push_request(
            sender,
            server,
            issuer,
            configurations,
            client_id=self.client_id,
            redirect_uri=redirect_uri,
            by=by,
            issuer_state=offer.issuer_state,
            random=self.random,
        )
        code = read_redirect(person(pushed.authorize_url), pushed, server)
        token = redeem_code(sender, server, pushed, code)
        for configuration in configurations:
            for identifier in _identifiers(token, configuration):
                yield self._get_one(sender, issuer, configuration, token, identifier)

    def _get_one(
        self,
        sender: DpopSender,
        issuer: CredentialIssuer,
        configuration: Configuration,
        token: Token,
        identifier: str | None,
    ) -> tuple[StoredCredential, Verified]:
        holder_key = WalletKey.generate()
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


def _identifiers(token: Token, configuration: Configuration) -> Sequence[str | None]:
    """Return what to ask for: the identifiers the token names, or None for the configuration as such."""
    if not token.identifiers:
        return [None]
    # RFC 9396 §7: the person may have granted less than was asked for.
    if configuration.id not in token.identifiers:
        raise WalletRefused("not_granted", f"{configuration.id} was not granted")
    return token.identifiers[configuration.id]
