"""The tenant document as structs: one schema, whoever brings a document.

The structs say what is structurally possible; `app.document_rules` says what is sensible. Times are whole
seconds. Unknown members are refused.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.document.dcql import ClaimsPath
from app.document.part import Display as Display
from app.document.part import Identifier, Name, Part, Slug
from app.document.presentation import Presentation, Trust

ScopeToken = Annotated[
    str,
    Meta(
        pattern=r"^[\x21\x23-\x5B\x5D-\x7E]{1,200}\Z",
        description="1 to 200 visible ASCII characters without space, double quote and backslash",
    ),
]
ClaimPath = Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(min_length=1, max_length=8)]

LONGEST_USERNAME = 200
LONGEST_PASSWORD = 1000


class TenantIdentity(Part, frozen=True):
    """Who the tenant is: the path segment of its issuer identifier and its names."""

    slug: Slug
    display: Annotated[list[Display], Meta(min_length=1)]


class Issuer(Part, frozen=True):
    """The form of the issuer identifier: `{public_url}/{slug}`, or an origin of the tenant's own."""

    origin: Annotated[str, Meta(max_length=260)] | None = None


class Dpop(Part, frozen=True):
    """Sender constraint of tokens (RFC 9449)."""

    tokens: Literal["required", "optional"] = "required"
    nonce: Literal["required", "off"] = "required"


class Lifetimes(Part, frozen=True):
    """How long things live, in seconds; the defaults are also the upper bounds."""

    session: Annotated[int, Meta(ge=60, le=900)] = 900
    request_uri: Annotated[int, Meta(ge=5, le=60)] = 60
    authorization_code: Annotated[int, Meta(ge=5, le=60)] = 60
    access_token: Annotated[int, Meta(ge=30, le=300)] = 300
    c_nonce: Annotated[int, Meta(ge=30, le=300)] = 300
    dpop_nonce: Annotated[int, Meta(ge=30, le=300)] = 300


class Interactive(Part, frozen=True):
    """The Interactive Authorization Endpoint."""

    repeat_lost_answers: bool = True
    """Give an answer once more to a wallet that repeats its request within half a minute because it received none."""


class UnknownPublicClients(Part, frozen=True):
    """Whether wallets nobody registered may start a session, and where they may be sent back to."""

    redirect_uris: Annotated[list[str], Meta(min_length=1, max_length=50)]


class Client(Part, frozen=True):
    """One registered wallet."""

    client_id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7E]+\Z",
            description="visible ASCII characters without space",
        ),
    ]
    name: Name
    redirect_uris: Annotated[list[str], Meta(min_length=1, max_length=50)]
    authentication: Literal["none"] = "none"
    active: bool = True


class Clients(Part, frozen=True, dict=True):
    """The wallets of a tenant."""

    registered: list[Client] = msgspec.field(default_factory=list)
    unknown_public: UnknownPublicClients | None = None
    allow_private_use_schemes: bool = False
    """Accept private-use redirect schemes (RFC 8252 §7.1); named in the start-up log."""

    @cached_property
    def by_id(self) -> Mapping[str, Client]:
        """The registered wallets by `client_id`, inactive ones included."""
        return {client.client_id: client for client in self.registered}


class FromUser(Part, frozen=True, tag_field="from", tag="user"):
    """A value of the person who signed in: a member of the user's `claims`, by its path."""

    path: ClaimPath | None = None
    """Where in the user's claims; absent: the same path as the credential's claim."""


class FromStep(Part, frozen=True, tag_field="from", tag="step"):
    """A value a step of the sequence produced."""

    step: Identifier
    path: ClaimPath


class FromConstant(Part, frozen=True, tag_field="from", tag="constant"):
    """The same value in every credential."""

    value: Any


class FromPresentation(Part, frozen=True, tag_field="from", tag="presentation"):
    """A claim of a credential the person presented."""

    step: Identifier
    credential: Identifier
    """The id of the credential query."""
    path: ClaimsPath | None = None
    """Where in the presented credential, one of the paths that were asked for; absent: the same as the claim's."""


ClaimSource = FromUser | FromStep | FromConstant | FromPresentation

PersonalSource = FromUser | FromStep | FromPresentation
SamePerson = Annotated[list[PersonalSource], Meta(min_length=2, max_length=2)]
"""Two values that must be equal, so that two steps speak of one person."""
SamePersonPolicy = Annotated[
    Literal["unchecked"] | Annotated[list[SamePerson], Meta(min_length=1, max_length=16)] | None,
    Meta(description="a list of pairs of values that must be equal, or `unchecked`"),
]


class Claim(Part, frozen=True):
    """One claim of a credential and where its value comes from."""

    path: ClaimPath
    source: ClaimSource
    disclosure: Literal["selective", "always"] = "selective"
    mandatory: bool = False
    display: list[Display] = msgspec.field(default_factory=list)


class CredentialConfiguration(Part, frozen=True):
    """One kind of credential the tenant issues (OpenID4VCI §12.2.4)."""

    format: Literal["dc+sd-jwt"]
    vct: Annotated[str, Meta(min_length=1, max_length=500)]
    scope: ScopeToken
    sequence: Identifier
    display: Annotated[list[Display], Meta(min_length=1)]
    claims: Annotated[list[Claim], Meta(min_length=1, max_length=200)]
    enabled: bool = True
    validity: Annotated[int, Meta(ge=3600, le=315_360_000)] = 2_592_000
    """Seconds between `iat` and `exp` of the credential, taken as whole days; `iat` is the beginning of the day."""
    credentials_per_grant: Annotated[int, Meta(ge=1, le=5)] = 5
    same_person: SamePersonPolicy = None
    """How claims of several steps are known to be of one person; there is no default where they are mixed."""


class LoginStep(Part, frozen=True, tag_field="type", tag="login"):
    """A web step: the person signs in as one of the tenant's users."""

    id: Identifier
    title: Name = "Sign in"
    text: Annotated[str, Meta(max_length=2000)] | None = None


class ConfirmStep(Part, frozen=True, tag_field="type", tag="confirm"):
    """A web step: the person sees what will be issued to whom, and agrees or refuses."""

    id: Identifier
    title: Name = "Confirm"
    text: Annotated[str, Meta(max_length=2000)] | None = None
    show_values: bool = False
    """Show the claims' values, not only their names, to the person who signed in within this session."""


class PresentationStep(Part, frozen=True, tag_field="type", tag="presentation"):
    """The wallet presents credentials its holder has (OpenID4VP)."""

    id: Identifier
    presentation: Identifier
    """A name under the document's `presentations`."""


WebStep = LoginStep | ConfirmStep
"""Steps a browser carries."""
Step = WebStep | PresentationStep

HolderBindingMode = Literal["same_key", "unlinked"]


class Sequence(Part, frozen=True):
    """The steps a wallet and its holder go through before a credential is granted, in order."""

    steps: Annotated[list[Step], Meta(min_length=1, max_length=20)]
    holder_binding: HolderBindingMode | None = None
    """How the key of the new credential is linked to the key of what was presented; there is no default where
    presented claims reach a credential."""


class User(Part, frozen=True):
    """A person who can sign in at this tenant's pages. Exactly one of the two password members."""

    username: Annotated[str, Meta(min_length=1, max_length=LONGEST_USERNAME)]
    password: Annotated[str, Meta(min_length=1, max_length=LONGEST_PASSWORD)] | None = None
    password_hash: (
        Annotated[str, Meta(pattern=r"^\$argon2id\$", max_length=500, description="an encoded Argon2id hash")] | None
    ) = None
    active: bool = True
    demo_hint: Annotated[str, Meta(max_length=300)] | None = None
    """Text shown on the login page; refused unless the service runs in demo mode."""
    claims: dict[str, Any] = msgspec.field(default_factory=dict)


class TenantDocument(Part, frozen=True):
    """Everything a tenant decides."""

    schema: Literal["vestibule.tenant/1"]
    tenant: TenantIdentity
    credentials: Annotated[dict[Identifier, CredentialConfiguration], Meta(min_length=1)]
    sequences: Annotated[dict[Identifier, Sequence], Meta(min_length=1)]
    issuer: Issuer = Issuer()
    dpop: Dpop = Dpop()
    lifetimes: Lifetimes = Lifetimes()
    interactive: Interactive = Interactive()
    clients: Clients = Clients()
    users: list[User] = msgspec.field(default_factory=list)
    trust: Annotated[dict[Identifier, Trust], Meta(max_length=50)] = msgspec.field(default_factory=dict)
    """Whose credentials are taken, by a name of the tenant's own."""
    presentations: Annotated[dict[Identifier, Presentation], Meta(max_length=50)] = msgspec.field(default_factory=dict)
    """What `presentation` steps ask for."""

    def without_users(self) -> "TenantDocument":
        """Return the document as it is stored: people are rows of their own."""
        return msgspec.structs.replace(self, users=[])
