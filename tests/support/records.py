"""Records to store: complete ones, each member changeable."""

from typing import Any

import msgspec

from app.document.model import ConfirmStep, LoginStep, TenantDocument
from app.interaction.evidence import Evidence, Presented, PresentedValue, Trusted
from app.interaction.machine import Status
from app.interaction.plan import ClaimValue, HolderBinding, Plan, PresentedBy
from app.protocol import base64url
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.records import (
    AccessToken,
    Authorization,
    AuthorizationCode,
    BrowserFlow,
    Grant,
    GrantedCredential,
    Issuance,
    PresentationData,
    RepeatableAnswer,
    Session,
    SigningKey,
    StoredUser,
)
from tests.support.fakes import FixedClock

NOW = FixedClock().now()
NO_ROW = Refusal("invalid_request", reason="what was to be changed is not as it was judged")
JKT = base64url.encode(digest("a DPoP key"))
OTHER_JKT = base64url.encode(digest("another DPoP key"))
CHALLENGE = base64url.encode(digest("a code verifier"))

AUTHORIZATION = Authorization(
    scope="pid",
    authorization_details=[{"type": "openid_credential", "credential_identifiers": ["pid-1"]}],
    credentials=[
        GrantedCredential(
            configuration_id="pid",
            credential_identifier="pid-1",
            claims=[
                ClaimValue(path=("family_name",), value="Mustermann", disclosure="selective"),
                ClaimValue(path=("address", "country"), value={"alpha-2": "DE"}, disclosure="always"),
            ],
            holder_binding=HolderBinding(
                mode="same_key",
                presented=[
                    PresentedBy(
                        step="pid",
                        query="pid",
                        issuer="https://issuer.example/pid-provider",
                        vct="urn:eudi:pid:1",
                        holder_jkt=OTHER_JKT,
                    )
                ],
            ),
        )
    ],
)


PRESENTED = Presented(
    step="pid",
    query="pid",
    issuer="https://issuer.example/pid-provider",
    vct="urn:eudi:pid:1",
    holder_jkt=OTHER_JKT,
    trusted=Trusted(presentation="pid", query="pid", names=["pid-provider"], digest=OTHER_JKT),
    values=[PresentedValue(["family_name"], "Mustermann"), PresentedValue(["nationalities", None, 0], ["DE"])],
)
EVIDENCE = Evidence(user_id="user-1", results={"login": {"amr": ["pwd"]}}, presented=[PRESENTED])


def session(**changes: Any) -> Session:
    return msgspec.structs.replace(
        Session(
            session_id="session-1",
            dialect="web",
            client_id="wallet",
            redirect_uri="https://wallet.example/cb",
            scope="pid",
            state="state of the wallet",
            issuer_state_digest=digest("issuer state"),
            code_challenge=CHALLENGE,
            code_challenge_method="S256",
            authorization_details=[{"type": "openid_credential"}],
            interaction_types_supported=["redirect_to_web"],
            dpop_jkt=JKT,
            instance_jkt=None,
            status=Status.PENDING,
            auth_session_digest=None,
            request_uri_digest=digest("request uri"),
            request_uri_expires_at=NOW + 60,
            presentation_data=PresentationData("nonce of this step"),
            plan=Plan(steps=[LoginStep(id="login"), ConfirmStep(id="confirm")], credentials=[]),
            completed_steps=EVIDENCE,
            created_at=NOW,
            expires_at=NOW + 900,
        ),
        **changes,
    )


def flow(**changes: Any) -> BrowserFlow:
    return msgspec.structs.replace(
        BrowserFlow(
            flow_id="flow-1",
            session_id="session-1",
            cookie_digest=digest("cookie"),
            results={"login": {"name": "Erika"}},
            created_at=NOW,
            expires_at=NOW + 900,
        ),
        **changes,
    )


def answer(**changes: Any) -> RepeatableAnswer:
    return msgspec.structs.replace(
        RepeatableAnswer(
            handle_digest=digest("superseded auth session"),
            session_id="session-1",
            body_digest=digest("body"),
            sealed=b"sealed by the wallet's handle",
            expires_at=NOW + 30,
        ),
        **changes,
    )


def code(**changes: Any) -> AuthorizationCode:
    return msgspec.structs.replace(
        AuthorizationCode(
            code_digest=digest("code"),
            code_id="code-1",
            session_id="session-1",
            client_id="wallet",
            redirect_uri="https://wallet.example/cb",
            delivered="redirect",
            scope="pid",
            code_challenge=CHALLENGE,
            code_challenge_method="S256",
            dpop_jkt=JKT,
            user_id="user-1",
            authorization=AUTHORIZATION,
            issued_at=NOW,
            expires_at=NOW + 60,
            diagnostics={"dialect": "web"},
        ),
        **changes,
    )


def grant(**changes: Any) -> Grant:
    return msgspec.structs.replace(
        Grant(
            grant_id="grant-1",
            client_id="wallet",
            user_id="user-1",
            dpop_jkt=JKT,
            authorization=AUTHORIZATION,
            credentials_allowed=2,
            created_at=NOW,
            expires_at=NOW + 300,
        ),
        **changes,
    )


def access_token(**changes: Any) -> AccessToken:
    token = AccessToken(token_id="token-1", grant_id="grant-1", issued_at=NOW, expires_at=NOW + 300)
    return msgspec.structs.replace(token, **changes)


def issuance(**changes: Any) -> Issuance:
    return msgspec.structs.replace(
        Issuance(
            issuance_id="issuance-1", grant_id="grant-1", configuration_id="pid", holder_jkt=OTHER_JKT, issued_at=NOW
        ),
        **changes,
    )


def user(**changes: Any) -> StoredUser:
    return msgspec.structs.replace(
        StoredUser(
            user_id="user-1",
            username="erika",
            password_hash="$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
            demo_hint="erika / mustermann",
            claims={"family_name": "Mustermann"},
            active=True,
        ),
        **changes,
    )


def signing_key(**changes: Any) -> SigningKey:
    return msgspec.structs.replace(
        SigningKey(
            key_id="key-1",
            purpose="access_token",
            algorithm="ES256",
            public_jwk={"kty": "EC"},
            private_key=b"a private key",
            certificate_chain=[b"leaf", b"issuer"],
            origin="generated",
            created_at=NOW,
        ),
        **changes,
    )


def document(name: str = "PID Provider") -> TenantDocument:
    return msgspec.convert(
        {
            "schema": "vestibule.tenant/1",
            "tenant": {"slug": "pid-provider", "display": [{"name": name}]},
            "sequences": {"web": {"steps": [{"type": "login", "id": "login"}]}},
            "credentials": {
                "pid": {
                    "format": "dc+sd-jwt",
                    "vct": "urn:eudi:pid:1",
                    "scope": "pid",
                    "sequence": "web",
                    "display": [{"name": "PID"}],
                    "claims": [{"path": ["family_name"], "source": {"from": "user"}}],
                }
            },
            "users": [{"username": "erika", "password": "mustermann"}],
        },
        TenantDocument,
    )
