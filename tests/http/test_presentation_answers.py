"""A presentation answers one request, and is good for nothing else."""

import pytest

from app.protocol import base64url
from tests.http.interactive import assert_asks_for_presentation
from tests.http.issued import assert_refused
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.server import RunningServer


@pytest.mark.rule("REQ-01")
def test_every_request_has_a_nonce_of_its_own(erika: InteractiveWallet, victim: Person) -> None:
    erika.scope = "alumni-card"
    nonces = []
    for _ in range(20):
        first = erika.begin()
        redirect = erika.agree(erika.show(first, victim.pid))
        second = erika.follow_up(redirect["auth_session"], {"code_verifier": erika.verifier})
        nonces += [assert_asks_for_presentation(erika, asked)["nonce"] for asked in (first, second)]
    assert len(set(nonces)) == len(nonces) == 40
    assert all(len(base64url.decode(nonce)) >= 16 for nonce in nonces)


@pytest.mark.rule("VPT-14", "J-08")
@pytest.mark.parametrize("scheme", ["DPoP", "Bearer"])
def test_a_presentation_is_no_access_token(
    campus_server: RunningServer, erika: InteractiveWallet, victim: Person, scheme: str
) -> None:
    presentation = erika.present(erika.begin(), victim.pid)
    credential, key_binding = presentation.split("~")[0], presentation.split("~")[-1]
    # The issuer of the credential signs its access tokens too.
    with campus_server.wallet("pid-provider", key=erika.key) as at_its_issuer:
        for wallet in (erika, at_its_issuer):
            for token in (presentation, credential, key_binding):
                assert_refused(wallet.credential(token, scheme=scheme), 401, "invalid_token")
