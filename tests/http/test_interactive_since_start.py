"""What was true when a session began may be so no longer: the current revision decides, the stricter binding counts."""

from typing import Any, ClassVar

import pytest

from tests.http.interactive import assert_code, assert_dead, assert_denied, assert_session_error, no_code
from tests.http.issued import assert_refused, issued
from tests.http.refusals import assert_oauth_refused
from tests.support.campus import Person, campus_university
from tests.support.interactive_wallet import interactive_wallet
from tests.support.raw_wallet import Key
from tests.support.server import RunningServer

RETIRED = [
    {"client_id": "demo-wallet", "name": "Demo", "redirect_uris": ["https://wallet.example/cb"], "active": False}
]


@pytest.mark.rule("C-29")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"clients": {"registered": RETIRED}}, id="client retired"),
        pytest.param({"clients": {"registered": RETIRED[:0]}}, id="client gone"),
    ],
)
def test_a_wallet_that_no_longer_holds_goes_no_further(
    own_campus: RunningServer, own_victim: Person, change: dict[str, Any]
) -> None:
    with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
        asked = wallet.begin()
        own_campus.apply(campus_university(changes=change))
        with no_code(own_campus):
            assert_session_error(wallet, wallet.show(asked, own_victim.pid))
        # Nothing was written: once the wallet is back, it goes on.
        own_campus.apply(campus_university())
        assert_code(wallet.show(asked, own_victim.pid))


@pytest.mark.rule("C-29", "A-22")
def test_whom_the_tenant_trusts_is_asked_when_it_is_judged(own_campus: RunningServer, own_victim: Person) -> None:
    other = {"trust": {"pid-provider": {"tenant": "other-tenant"}}}
    with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
        asked = wallet.begin()
        own_campus.apply(campus_university(changes=other))
        with no_code(own_campus):
            assert_denied(wallet.show(asked, own_victim.pid))
        own_campus.apply(campus_university())
        assert_dead(wallet, asked, own_victim.pid)


class TestTrustThatWasWithdrawn:
    """What was presented counts as long as those are trusted who were when it was judged."""

    OTHER: ClassVar = {"trust": {"pid-provider": {"tenant": "other-tenant"}}}

    @pytest.mark.rule("C-29", "A-22")
    def test_of_an_issuer_that_left_the_list_of_the_query(self, own_campus: RunningServer, own_victim: Person) -> None:
        more = {"trust": {"others": {"type": "tenant", "tenant": "other-tenant"}}}
        listed = {"presentations": {"name": {"trust": {"pid": ["others"]}}}}
        with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
            asked = wallet.begin()
            own_campus.apply(campus_university(changes={**more, **listed}))
            with no_code(own_campus):
                assert_denied(wallet.show(asked, own_victim.pid))

    @pytest.mark.rule("C-29")
    def test_before_the_code(self, own_campus: RunningServer, own_victim: Person) -> None:
        with interactive_wallet(own_campus, holder=own_victim.holder, scope="diploma") as wallet:
            asked = wallet.show(wallet.begin(), own_victim.pid)
            own_campus.apply(campus_university(changes=self.OTHER))
            with no_code(own_campus):
                assert wallet.agree(asked)["error"] == "access_denied"

    @pytest.mark.rule("C-29")
    def test_before_the_token(self, own_campus: RunningServer, own_victim: Person) -> None:
        with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
            code = wallet.interactive_code(own_victim.pid)
            own_campus.apply(campus_university(changes=self.OTHER))
            assert_oauth_refused(wallet.exchange(code), 400, "invalid_grant")
            # Nothing was spent by it.
            own_campus.apply(campus_university())
            assert wallet.exchange(code).status_code == 200

    @pytest.mark.rule("C-29")
    def test_before_the_credential(self, own_campus: RunningServer, own_victim: Person) -> None:
        with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
            token = wallet.interactive_token(own_victim.pid)
            own_campus.apply(campus_university(changes=self.OTHER))
            assert_refused(wallet.derived(token), 400, "credential_request_denied")
            own_campus.apply(campus_university())
            assert wallet.derived(token).status_code == 200


@pytest.mark.rule("C-29")
@pytest.mark.parametrize("gone", [{"student-card": {"enabled": False}}, {"student-card": None}])
def test_what_may_no_longer_be_issued_is_not_authorized(
    own_campus: RunningServer, own_victim: Person, gone: dict[str, Any]
) -> None:
    with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
        asked = wallet.begin()
        own_campus.apply(campus_university(changes={"credentials": gone}))
        with no_code(own_campus):
            assert_denied(wallet.show(asked, own_victim.pid))
            assert_session_error(wallet, wallet.show(asked, own_victim.pid))


def test_what_is_asked_for_stays_what_it_was(own_campus: RunningServer, own_victim: Person) -> None:
    claims = [{"path": ["motto"], "source": {"from": "constant", "value": "new"}}]
    with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
        asked = wallet.begin()
        own_campus.apply(campus_university(changes={"credentials": {"student-card": {"claims": claims}}}))
        code = assert_code(wallet.show(asked, own_victim.pid))
        found = issued(wallet.derived(wallet.exchange(code).json()["access_token"])).disclosed
        assert found["given_name"] == "Erika"
        assert "motto" not in found


class TestTheStricterBindingCounts:
    @pytest.mark.rule("A-06", "A-01")
    @pytest.mark.parametrize(
        ("scope", "now"),
        [
            pytest.param("diploma", {"present-and-confirm": {"holder_binding": "unlinked"}}, id="looser since"),
            pytest.param(
                "diploma-unlinked",
                {"present-and-confirm-unlinked": {"holder_binding": "same_key"}},
                id="stricter since",
            ),
        ],
    )
    def test_of_then_and_now(
        self, own_campus: RunningServer, own_victim: Person, scope: str, now: dict[str, Any]
    ) -> None:
        with interactive_wallet(own_campus, holder=own_victim.holder, scope=scope) as wallet:
            token = wallet.interactive_token(own_victim.pid)
            own_campus.apply(campus_university(changes={"sequences": now}))
            assert_refused(wallet.derived(token, key=Key()), 400, "invalid_proof")
            assert issued(wallet.derived(token)).payload["cnf"]["jwk"] == own_victim.holder.public_jwk
