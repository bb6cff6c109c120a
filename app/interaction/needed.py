"""What a session answers a wallet: what is still needed, or the code. Pure; a dialect spells it."""

from msgspec import Struct

from app.document.dcql import DcqlQuery


class NeedPresentation(Struct, frozen=True):
    """The wallet is to present credentials."""

    auth_session: str
    nonce: str
    query: DcqlQuery


class NeedBrowser(Struct, frozen=True):
    """The wallet is to send the person's browser to the authorization endpoint."""

    auth_session: str
    request_uri_handle: str
    expires_in: int


class Completed(Struct, frozen=True):
    """Nothing is missing."""

    code: str


Needed = NeedPresentation | NeedBrowser | Completed
