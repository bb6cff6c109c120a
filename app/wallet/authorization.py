"""The authorization code flow as the wallet walks it: ask, send the person off, judge the way back, redeem."""

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from msgspec import Struct

from app.protocol import base64url, pkce
from app.wallet.answers import Finished, Unfinished, text
from app.wallet.discovery import AuthorizationServer, Configuration, CredentialIssuer
from app.wallet.dpop import DpopSender
from app.wallet.errors import ServerRefused, WalletRefused
from app.wallet.keys import Random

By = Literal["scope", "details"]
"""How to ask: by OAuth scope, or by `authorization_details`."""

Browse = Callable[[str], str]
"""Sends somebody to the authorization endpoint's address and returns the address their browser came back to."""


class AuthorizationRequest(Struct, frozen=True, kw_only=True):
    """What is asked for, and what the answers are judged by."""

    parameters: Mapping[str, str]
    """As a server takes them that is asked directly (RFC 9126 §2.1)."""
    client_id: str
    redirect_uri: str
    state: str
    code_verifier: str
    by_details: bool


class Token(Struct, frozen=True):
    """An access token and the credential identifiers it is good for, by configuration; empty when asked by scope."""

    access_token: str
    identifiers: Mapping[str, Sequence[str]]


def new_request(
    issuer: CredentialIssuer,
    configurations: Sequence[Configuration],
    *,
    client_id: str,
    redirect_uri: str,
    by: By,
    issuer_state: str | None,
    random: Random,
) -> AuthorizationRequest:
    """Make an authorization request (OpenID4VCI §5.1) with PKCE."""
    state, code_verifier = base64url.encode(random(32)), base64url.encode(random(32))
    # A configuration without scope can be asked for by its details only (CIM-22).
    by_details = by == "details" or any(configuration.scope is None for configuration in configurations)
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": pkce.challenge_of(code_verifier),
        "code_challenge_method": "S256",
    }
    if by_details:
        parameters["authorization_details"] = json.dumps([_details(issuer, each) for each in configurations])
    else:
        parameters["scope"] = " ".join(dict.fromkeys(each.scope for each in configurations if each.scope))
        if issuer.authorization_servers:
            # OpenID4VCI §5.1.2: tells one of several issuers of this server.
            parameters["resource"] = issuer.identifier
    if issuer_state is not None:
        parameters["issuer_state"] = issuer_state
    return AuthorizationRequest(
        parameters=parameters,
        client_id=client_id,
        redirect_uri=redirect_uri,
        state=state,
        code_verifier=code_verifier,
        by_details=by_details,
    )


def authorize_by_push(
    sender: DpopSender, server: AuthorizationServer, request: AuthorizationRequest, *, browse: Browse
) -> str:
    """Push the request (RFC 9126), send the person to a reference to it and return the code they come back with."""
    if server.pushed_authorization_request_endpoint is None:
        raise WalletRefused("unsupported_server", "the authorization server takes no pushed authorization requests")
    answer = sender.post(
        server.pushed_authorization_request_endpoint,
        "pushes the authorization request",
        "authorization server",
        form=request.parameters.items(),
    ).require(201)
    address = authorize_url(server, request, text(answer, "request_uri"))
    redirect = read_redirect(browse(address), request, server)
    if isinstance(redirect, Unfinished):
        raise WalletRefused("unusable_answer", "the redirect goes on with a session nobody began")
    return redirect.code


def authorize_url(server: AuthorizationServer, request: AuthorizationRequest, request_uri: str) -> str:
    """Return where to send the person: nothing but a reference to what was asked (RFC 9126 §4)."""
    separator = "&" if urlsplit(server.authorization_endpoint).query else "?"
    query = urlencode({"client_id": request.client_id, "request_uri": request_uri})
    return f"{server.authorization_endpoint}{separator}{query}"


def read_redirect(
    redirected_to: str, request: AuthorizationRequest, server: AuthorizationServer
) -> Finished | Unfinished:
    """Judge the address the person's browser came back with.

    Raises `WalletRefused` if the answer is not this request's or not this server's, `ServerRefused` for its error.
    """
    pairs = parse_qsl(urlsplit(redirected_to).query)
    answer = dict(pairs)
    if len(answer) != len(pairs):
        raise WalletRefused("unusable_answer", "the redirect repeats a parameter")
    # RFC 6749 §10.12: an answer without our state answers somebody else's request.
    if not hmac.compare_digest(answer.get("state", "").encode(), request.state.encode()):
        raise WalletRefused("state_mismatch", "the redirect does not belong to this request")
    # RFC 9207 §2.4 (C-19): errors are checked too; HAIP §4 demands `iss`, so its absence is no excuse.
    if answer.get("iss") != server.issuer:
        raise WalletRefused("issuer_mismatch", "the redirect does not come from the server that was asked")
    if error := answer.get("error"):
        raise ServerRefused(error, answer.get("error_description", ""))
    # OpenID4VCI 1.1 §6.2.1.2 (IA-36): the code, or the handle of what goes on; never both.
    if ("code" in answer) == ("auth_session" in answer):
        raise WalletRefused("unusable_answer", "the redirect has both or neither of code and auth_session")
    return Finished(answer["code"]) if "code" in answer else Unfinished(answer["auth_session"])


def redeem_code(sender: DpopSender, server: AuthorizationServer, request: AuthorizationRequest, code: str) -> Token:
    """Exchange the code for a DPoP-bound access token (RFC 6749 §4.1.3, RFC 9449 §5)."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": request.redirect_uri,
        "client_id": request.client_id,
        "code_verifier": request.code_verifier,
    }
    answer = sender.post(
        server.token_endpoint, "exchanges the code for a token", "authorization server", form=form.items()
    ).require(200)
    access_token = text(answer, "access_token")
    # RFC 9449 §5: `Bearer` would say the proof was ignored, and anybody could use the token.
    if text(answer, "token_type").lower() != "dpop":
        raise WalletRefused("unbound_token", "the access token is not bound to the wallet's key")
    identifiers = _identifiers(answer.get("authorization_details", []))
    # OpenID4VCI §6.2 (TAD-01): whoever asks by details gets details.
    if request.by_details and not identifiers:
        raise WalletRefused("unusable_answer", "the token answer names no credential identifiers")
    return Token(access_token, identifiers)


def _details(issuer: CredentialIssuer, configuration: Configuration) -> dict[str, Any]:
    details: dict[str, Any] = {"type": "openid_credential", "credential_configuration_id": configuration.id}
    if issuer.authorization_servers:
        # OpenID4VCI §5.1.1 (AZ-20).
        details["locations"] = [issuer.identifier]
    return details


def _identifiers(details: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in details if isinstance(details, list) else []:
        if not isinstance(entry, dict) or entry.get("type") != "openid_credential":
            continue
        configuration_id, identifiers = entry.get("credential_configuration_id"), entry.get("credential_identifiers")
        if not isinstance(configuration_id, str) or not isinstance(identifiers, list) or not identifiers:
            raise WalletRefused("unusable_answer", "authorization_details of the token answer are incomplete")
        if not all(isinstance(identifier, str) for identifier in identifiers):
            raise WalletRefused("unusable_answer", "credential_identifiers of the token answer are not strings")
        found.setdefault(configuration_id, []).extend(identifiers)
    return found
