"""Presenting credentials: which of the wallet's answer a query, and as little of each as does (OpenID4VP §6.4)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from app.formats import key_binding, sd_jwt, sd_jwt_vc_verification
from app.formats.sd_jwt_vc_verification import IntactCredential
from app.protocol import dcql, jose
from app.protocol.claims_path import ClaimsPath, select
from app.protocol.strict_json import Malformed
from app.protocol.x509 import authority_key_ids, read_x5c
from app.wallet.answers import PresentationRequest
from app.wallet.discovery import FORMAT
from app.wallet.errors import WalletRefused
from app.wallet.keys import ALGORITHM, Now, WalletKey
from app.wallet.store import Store, StoredCredential
from app.wallet.verification import personal_claims


class Showing(Struct, frozen=True, kw_only=True):
    """One credential as it is to be shown."""

    query_id: str
    stored: StoredCredential
    sd_jwt: str
    """With the disclosures that are needed and no others."""
    claims: Mapping[str, Any]
    """What it then says of the person."""


Agree = Callable[[str, Sequence[Showing]], bool]
"""Asks the person whether the issuer that is named may see all this."""


class Presenter:
    """Answers requests to present out of the wallet's folder, if the person agrees, and remembers with which keys."""

    def __init__(self, store: Store, *, only: Sequence[str], agree: Agree, now: Now) -> None:
        """`only` names the credentials that may be presented; empty: all of them."""
        self._store = store
        self._only = only
        self._agree = agree
        self._now = now
        self.used_keys: list[WalletKey] = []

    def respond(self, request: PresentationRequest, *, audience: str, verifier: str) -> dict[str, Any] | None:
        """Return the response (OpenID4VP §8.1), None if the person says no.

        Raises `WalletRefused` if there is nothing to answer with.
        """
        showings = choose(request.query, self._candidates(), now=self._now())
        if not self._agree(verifier, showings):
            return None
        vp_token: dict[str, list[str]] = {}
        for showing in showings:
            key = WalletKey.from_pem(showing.stored.holder_key)
            unsigned = key_binding.bind(
                showing.sd_jwt, audience=audience, nonce=request.nonce, issued_at=self._now(), algorithm=ALGORITHM
            )
            vp_token[showing.query_id] = [unsigned.complete(key.sign(unsigned.signing_input))]
            self.used_keys.append(key)
        return {"vp_token": vp_token}

    def _candidates(self) -> list[StoredCredential]:
        """Return the credentials that may be presented, newest first."""
        if self._only:
            return [self._store.get(credential_id) for credential_id in self._only]
        return self._store.all()[::-1]


def choose(query: dcql.Query, candidates: Sequence[StoredCredential], *, now: int) -> list[Showing]:
    """Return what to show, of each credential that is needed the first candidate that will do.

    Raises `WalletRefused`, which says what is missing, if the candidates do not satisfy the query.
    """
    showings: dict[str, Showing] = {}
    for credential in query.credentials:
        fitting = (showing for each in candidates if (showing := _show(credential, each, now)))
        if first := next(fitting, None):
            showings[credential.id] = first
    needed = dcql.credentials_to_show(query, showings.keys())
    if needed is None:
        missing = "; ".join(_described(each) for each in query.credentials if each.id not in showings)
        raise WalletRefused("nothing_to_present", f"the wallet has no valid {missing}; get that first")
    return [showings[query_id] for query_id in needed]


def _show(query: dcql.CredentialQuery, stored: StoredCredential, now: int) -> Showing | None:
    """Return how a credential answers a credential query with as little as possible, None if it does not."""
    credential = _intact(stored, now)
    if credential is None or not dcql.is_of_type(query, credential_format=FORMAT, vct=credential.vct):
        return None
    if not dcql.is_by_authority(query, authority_key_ids(read_x5c(credential.header["x5c"]))):
        return None
    paths = dcql.claims_to_show(query, credential.claims)
    if paths is None:
        return None
    wanted = _selected(credential.claims, paths)
    # OpenID4VP §6.4.1: nothing that can be withheld and was not asked for.
    cut = sd_jwt.withhold(stored.credential, enough=lambda claims: _selected(claims, paths) == wanted)
    parts = sd_jwt.split(cut)
    shown = sd_jwt.reveal(parts.issuer_jwt.payload, parts.disclosures)
    return Showing(query_id=query.id, stored=stored, sd_jwt=cut, claims=personal_claims(shown))


def _intact(stored: StoredCredential, now: int) -> IntactCredential | None:
    try:
        return sd_jwt_vc_verification.inspect(stored.credential, algorithms=jose.ALGORITHMS.keys(), now=now)
    except (Malformed, jose.BadSignature):
        return None


def _selected(claims: Mapping[str, Any], paths: Sequence[ClaimsPath]) -> list[list[Any]]:
    return [select(claims, path) for path in paths]


def _described(query: dcql.CredentialQuery) -> str:
    types = " or ".join(query.meta.vct_values) or query.format
    claims = ", ".join(_spelled(claim.path) for claim in query.claims or [])
    return f"{types} with {claims}" if claims else types


def _spelled(path: ClaimsPath) -> str:
    return ".".join("*" if component is None else str(component) for component in path)
