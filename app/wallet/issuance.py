"""Nonce and credential endpoint from the wallet's side (OpenID4VCI §7, §8)."""

from app.wallet.authorization import Token
from app.wallet.discovery import Configuration, CredentialIssuer
from app.wallet.dpop import DpopSender
from app.wallet.errors import ServerRefused, WalletRefused
from app.wallet.http import Http
from app.wallet.keys import Now, WalletKey, key_proof


def fetch_nonce(http: Http, sender: DpopSender, issuer: CredentialIssuer) -> str | None:
    """Return a fresh `c_nonce`, or None if the issuer has no nonce endpoint."""
    if issuer.nonce_endpoint is None:
        return None
    exchange = http.send("POST", issuer.nonce_endpoint, "fetches a nonce for the key proof")
    # OpenID4VCI §7.2 (NON-05): a DPoP nonce may ride along, good at the credential endpoint.
    sender.remember(exchange, "resource server")
    c_nonce = exchange.require(200).get("c_nonce")
    if not isinstance(c_nonce, str) or not c_nonce:
        raise WalletRefused("unusable_answer", "the nonce answer has no c_nonce")
    return c_nonce


def request_credential(
    sender: DpopSender,
    issuer: CredentialIssuer,
    configuration: Configuration,
    token: Token,
    holder_key: WalletKey,
    *,
    identifier: str | None,
    c_nonce: str | None,
    client_id: str,
    now: Now,
) -> str:
    """Prove possession of the holder key and return the credential bound to it, not yet verified."""
    proof = key_proof(holder_key, issuer=issuer.identifier, client_id=client_id, nonce=c_nonce, now=now)
    # OpenID4VCI §8.2 (CR-04, CR-05): the identifier if the token answer named one, else the configuration.
    what = (
        {"credential_configuration_id": configuration.id}
        if identifier is None
        else {"credential_identifier": identifier}
    )
    exchange = sender.post(
        issuer.credential_endpoint,
        "proves possession, asks for the credential",
        "resource server",
        json_body={**what, "proofs": {"jwt": [proof]}},
        access_token=token.access_token,
    )
    if error := exchange.error():
        raise ServerRefused(*error)
    if exchange.status == 202:
        raise WalletRefused("unsupported_answer", "the issuer defers the credential; this wallet does not come back")
    credentials = exchange.require(200).get("credentials")
    # OpenID4VCI §8.3 (CR-13): one key, at most one credential.
    if not isinstance(credentials, list) or len(credentials) != 1 or not isinstance(credentials[0], dict):
        raise WalletRefused("unusable_answer", "the credential answer does not hold exactly one credential")
    credential = credentials[0].get("credential")
    if not isinstance(credential, str):
        raise WalletRefused("unusable_answer", "the issued credential is not a string")
    return credential
