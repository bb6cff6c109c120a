"""The interactive authorization endpoint as the wallet walks it (OpenID4VCI 1.1 §6): ask, do what is wanted, repeat."""

import json
from collections.abc import Mapping
from typing import Any, Final

from app.wallet.addresses import origin
from app.wallet.answers import TYPES, Dialect, Finished, PresentationWanted, Unfinished, WebWanted, read_answer
from app.wallet.authorization import AuthorizationRequest, Browse, authorize_url, read_redirect
from app.wallet.discovery import AuthorizationServer
from app.wallet.dpop import DpopSender
from app.wallet.errors import Unreachable, WalletRefused
from app.wallet.http import Exchange
from app.wallet.presenting import Presenter

MAX_INTERACTIONS: Final = 20
"""How often the wallet does what a server wants before it stops believing that there is an end."""


def authorize_interactively(
    sender: DpopSender,
    server: AuthorizationServer,
    request: AuthorizationRequest,
    *,
    dialect: Dialect,
    browse: Browse,
    presenter: Presenter,
) -> str:
    """Do what the server wants until it hands out a code, and return that.

    Raises `WalletError`, also where the person does not agree to present something.
    """
    if server.interactive_authorization_endpoint is None:
        raise WalletRefused("unsupported_server", "the authorization server has no interactive endpoint")
    session = _Session(sender, server.interactive_authorization_endpoint)
    types = TYPES[dialect]
    # §6.1.1: what a pushed request has, and what the wallet is capable of.
    capable = {"interaction_types_supported": f"{types.presentation},{types.web}"}
    answer = session.begin({**request.parameters, **capable})
    for _ in range(MAX_INTERACTIONS):
        match read_answer(answer, types=types, origin=session.origin):
            case Finished(code):
                return code
            case PresentationWanted(handle, presentation_request):
                session.use(handle)
                # §A.3.5: bound to the server the wallet itself talks to, whatever the answer says.
                audience = f"iae:{session.origin}"
                response = presenter.respond(presentation_request, audience=audience, verifier=server.issuer)
                if response is None:
                    session.decline()
                    raise WalletRefused("declined", "this was not presented, and the server was told so")
                answer = session.present(response)
            case WebWanted(handle, request_uri):
                session.use(handle)
                match read_redirect(browse(authorize_url(server, request, request_uri)), request, server):
                    case Finished(code):
                        return code
                    case Unfinished(handle):
                        session.use(handle)
                        answer = session.come_back(request.code_verifier)
    raise WalletRefused("endless", f"the server wanted more than {MAX_INTERACTIONS} interactions")


class _Session:
    """What is said to the endpoint in one session, each time under the handle of the answer before."""

    def __init__(self, sender: DpopSender, endpoint: str) -> None:
        self.origin = origin(endpoint)
        self._sender = sender
        self._endpoint = endpoint
        self._handle = ""
        self._used: set[str] = set()

    def use(self, handle: str) -> None:
        """Go on under this handle."""
        # §6.2.1 (IA-11): distinct for every answer; one that comes again is a replayed answer.
        if handle in self._used:
            raise WalletRefused("unusable_answer", "auth_session is one of an earlier answer")
        self._used.add(handle)
        self._handle = handle

    def begin(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Send the initial request and return the answer."""
        return self._post("asks what is needed for it", parameters).require(200)

    def present(self, response: Mapping[str, Any]) -> dict[str, Any]:
        """Send a presentation and return the answer."""
        return self._follow_up("presents what is asked for", openid4vp_response=json.dumps(response)).require(200)

    def decline(self) -> None:
        """Say that the person does not want to present; the server's answer is an error whatever it says."""
        # OpenID4VP §8.5
        self._follow_up("says no", openid4vp_response='{"error":"access_denied"}')

    def come_back(self, code_verifier: str) -> dict[str, Any]:
        """Say that the person is done in the browser and return the answer."""
        # §6.2.1.2 (IA-38)
        return self._follow_up("comes back from the web page", code_verifier=code_verifier).require(200)

    def _follow_up(self, purpose: str, **parameters: str) -> Exchange:
        form = {"auth_session": self._handle, **parameters}
        try:
            return self._post(purpose, form)
        except Unreachable:
            # The answer may be lost, and with it the next handle: a server that keeps it for a moment gives it to
            # the same words again, under a fresh proof.
            return self._post(f"{purpose}, again", form)

    def _post(self, purpose: str, form: Mapping[str, str]) -> Exchange:
        return self._sender.post(self._endpoint, purpose, "authorization server", form=form.items())
