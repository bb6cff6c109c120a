"""Authorization requests: the rules shared by every endpoint that takes one.

RFC 6749 §4.1.1, RFC 9126 §2.1, RFC 7636 §4.3, RFC 9396 §5, OpenID4VCI §5.1.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from app.document.model import CredentialConfiguration, TenantDocument
from app.protocol import pkce, redirect_uri
from app.protocol.authorization_details import read_authorization_details
from app.protocol.client_auth import AuthenticatedClient, KnownClient
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal

# RFC 6749 §3.3
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_STATE: Final = 2048


class AuthorizationRequest(Struct, frozen=True, kw_only=True):
    """An authorization request that is in order."""

    client_id: str
    redirect_uri: str | None
    """Registered for the client; whether one is needed is for the plan to say."""
    scope: str | None
    """As sent."""
    granted_scope: str | None
    """The values of `scope` that name a configuration, in the order sent."""
    state: str | None
    code_challenge: str
    code_challenge_method: str
    authorization_details: list[dict[str, Any]] | None
    configuration_ids: list[str]
    """What is asked for, by details first, then by scope; no duplicates."""
    issuer_state: str | None
    dpop_jkt: str | None


def read_authorization_request(
    form: Mapping[str, str],
    *,
    client: AuthenticatedClient,
    proof: DpopProof | None,
    document: TenantDocument,
    issuer: str,
) -> AuthorizationRequest:
    """Judge the parameters of an authorization request. Raises `Refusal` with the code of the first rule broken."""
    # RFC 9126 §2.1 (PAR-02); request objects (RFC 9101) are not offered, so neither is `request`.
    for name in ("request_uri", "request"):
        if name in form:
            raise Refusal("invalid_request", f"{name} is not accepted here.")
    _check_response_type(form.get("response_type"))
    check_resource(form, issuer=issuer)
    challenge, method = pkce.check_challenge(form.get("code_challenge"), form.get("code_challenge_method"))
    details = read_authorization_details(
        form.get("authorization_details"),
        configuration_ids=[name for name, configuration in document.credentials.items() if configuration.enabled],
        issuer=issuer,
    )
    scope = form.get("scope")
    by_scope = _configurations_of_scope(scope, document)
    by_details = [entry["credential_configuration_id"] for entry in details or []]
    configuration_ids = list(dict.fromkeys([*by_details, *by_scope.values()]))
    if not configuration_ids:
        raise Refusal("invalid_scope", "Neither scope nor authorization_details names a credential of this issuer.")
    state = form.get("state")
    if state is not None and len(state) > _MAX_STATE:
        raise Refusal("invalid_request", "state is too long.")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=_redirect_uri(form, client, document),
        scope=scope,
        granted_scope=" ".join(by_scope) or None,
        state=state,
        code_challenge=challenge,
        code_challenge_method=method,
        authorization_details=details,
        configuration_ids=configuration_ids,
        issuer_state=form.get("issuer_state"),
        dpop_jkt=_bound_key(form.get("dpop_jkt"), proof),
    )


def check_resource(form: Mapping[str, str], *, issuer: str) -> None:
    """Refuse a request for tokens that are for somebody else (RFC 8707 §2, AZ-25): `invalid_target`."""
    if form.get("resource", issuer) != issuer:
        raise Refusal("invalid_target", "resource must be this issuer.")


def _redirect_uri(form: Mapping[str, str], client: AuthenticatedClient, document: TenantDocument) -> str | None:
    sent = form.get("redirect_uri")
    if sent is not None:
        check_redirect_uri(sent, client, document=document)
    return sent


def check_redirect_uri(sent: str, client: KnownClient, *, document: TenantDocument) -> None:
    """Refuse with `invalid_request` a redirect URI that is not the client's."""
    # RFC 9700 §2.1, RFC 9126 §2.3 (PAR-03, PAR-18, C-01): exact string of the list; only a loopback port varies.
    private_use = document.clients.allow_private_use_schemes
    if redirect_uri.check_registered(sent, allow_private_use=private_use) is not None or not redirect_uri.matches(
        client.redirect_uris, sent
    ):
        raise Refusal("invalid_request", "redirect_uri is not registered for this client.")


def enabled_configuration(document: TenantDocument, configuration_id: str) -> CredentialConfiguration | None:
    """Return a configuration of the current revision, unless it is disabled."""
    configuration = document.credentials.get(configuration_id)
    return configuration if configuration is not None and configuration.enabled else None


def _check_response_type(response_type: str | None) -> None:
    # RFC 6749 §3.1.1, §4.1.2.1 (AZ-03)
    if response_type is None:
        raise Refusal("invalid_request", "response_type is missing.")
    if response_type != "code":
        raise Refusal("unsupported_response_type", "Only response_type code is offered.")


def _configurations_of_scope(scope: str | None, document: TenantDocument) -> dict[str, str]:
    """Return scope value → configuration id; values that name none are ignored (OpenID4VCI §5.1.2, AZ-22)."""
    if scope is None:
        return {}
    if not _SCOPE.fullmatch(scope):
        raise Refusal("invalid_scope", "scope is malformed.")
    known = {c.scope: name for name, c in document.credentials.items() if c.enabled}
    return {value: known[value] for value in dict.fromkeys(scope.split(" ")) if value in known}


def _bound_key(sent: str | None, proof: DpopProof | None) -> str | None:
    """Return the DPoP key the session is bound to: by `dpop_jkt`, by the header, or by both if they agree."""
    if sent is not None and not _THUMBPRINT.fullmatch(sent):
        raise Refusal("invalid_request", "dpop_jkt is malformed.")
    if proof is None:
        return sent
    # RFC 9449 §10.1 (PAR-19, PAR-20)
    if sent not in (None, proof.jkt):
        raise Refusal("invalid_dpop_proof", "dpop_jkt is not the key of the DPoP proof.")
    return proof.jkt
