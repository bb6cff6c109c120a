"""Authorization codes put straight into the database, where the sign-in is not what a test is about."""

import secrets
from collections.abc import Sequence

from app.interaction.plan import ClaimValue
from app.protocol import base64url
from app.protocol.digest import digest
from app.records import AuditEvent, Authorization, GrantedCredential
from app.storage import TenantStore
from tests.support import records
from tests.support.raw_wallet import USERNAME, RawWallet
from tests.support.server import RunningServer

LIFETIME = 600
"""The most the database allows: preparing many codes takes a while."""


def insert_codes(
    server: RunningServer, wallet: RawWallet, count: int, configurations: Sequence[str] = ("pid",)
) -> list[str]:
    """Give a wallet codes of its issuer, as if Erika had agreed each time."""
    codes = [secrets.token_urlsafe(32) for _ in range(count)]
    now = server.clock.now()

    def insert(store: TenantStore) -> None:
        erika = store.users.by_username(USERNAME)
        assert erika is not None
        claims = [ClaimValue(("family_name",), erika.claims["family_name"], "selective")]
        granted = [
            GrantedCredential(configuration_id=name, credential_identifier=None, claims=claims)
            for name in configurations
        ]
        scope = " ".join(configurations)
        for code in codes:
            store.codes.create(
                records.code(
                    code_digest=digest(code),
                    code_id=code[:16],
                    session_id=code[16:32],
                    client_id=wallet.client_id,
                    redirect_uri=wallet.redirect_uri,
                    code_challenge=base64url.encode(digest(wallet.verifier)),
                    dpop_jkt=None,
                    user_id=erika.user_id,
                    authorization=Authorization(scope=scope, authorization_details=None, credentials=granted),
                    issued_at=now,
                    expires_at=now + LIFETIME,
                )
            )
            store.audit.append(
                AuditEvent(event_id=secrets.token_hex(16), occurred_at=now, kind="code_issued", subject=code[16:32])
            )

    server.store(insert, wallet.issuer.rpartition("/")[2])
    return codes
