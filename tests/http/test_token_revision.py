"""Codes and access tokens are judged by the tenant as it is now."""

from typing import Any

import pytest

from app.adapters.db.grants import SqlGrants
from app.provisioning import delete_tenant
from app.records import Grant
from tests.http.issued import assert_refused
from tests.http.refusals import assert_kept, assert_oauth_refused, credential_works
from tests.support.documents import OTHER_SLUG, PID, document
from tests.support.server import RunningServer


def _with_clients(**changes: Any) -> dict[str, Any]:
    return {"clients": {"registered": [{**client, **changes} for client in PID["clients"]["registered"]]}}


@pytest.mark.rule("C-29")
@pytest.mark.parametrize(
    ("changes", "at_token", "at_credential"),
    [
        (_with_clients(active=False), (401, "invalid_client"), (401, "invalid_token")),
        ({"clients": {"registered": []}}, (401, "invalid_client"), (401, "invalid_token")),
        (
            {"credentials": {"pid": {"enabled": False}}},
            (400, "invalid_grant"),
            (400, "unknown_credential_configuration"),
        ),
        (
            {"users": [{**user, "active": False} for user in PID["users"]]},
            (400, "invalid_grant"),
            (401, "invalid_token"),
        ),
    ],
    ids=["client disabled", "client removed", "configuration", "user"],
)
def test_what_is_disabled_stops_at_once_and_works_again_afterwards(
    own_server: RunningServer,
    changes: dict[str, Any],
    at_token: tuple[int, str],
    at_credential: tuple[int, str],
) -> None:
    with own_server.wallet() as wallet:
        code, token = wallet.code(), wallet.access_token()
        own_server.apply(document(changes))
        assert_oauth_refused(wallet.exchange(code), *at_token)
        assert_refused(wallet.credential(token), *at_credential)
        own_server.apply(document())
        assert_kept(wallet, code)
        assert credential_works(wallet, token)


@pytest.mark.rule("C-29")
def test_a_code_sent_to_a_redirect_uri_that_was_taken_off_the_list_is_refused(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet:
        code = wallet.code()
        own_server.apply(document(_with_clients(redirect_uris=["https://wallet.example/cb"])))
        assert_oauth_refused(wallet.exchange(code), 400, "invalid_grant")
        own_server.apply(document())
        assert_kept(wallet, code)


@pytest.mark.rule("L-15")
def test_a_grant_that_is_revoked_while_it_is_used_says_so(
    own_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = SqlGrants.take_credential

    def too_late(self: SqlGrants, grant: Grant, *, now: int, otherwise: Any) -> None:
        # As by another transaction that commits between the look-up and this statement (READ COMMITTED).
        self.revoke(grant.grant_id, now=now)
        take(self, grant, now=now, otherwise=otherwise)

    with own_server.wallet() as wallet:
        token = wallet.access_token()
        monkeypatch.setattr(SqlGrants, "take_credential", too_late)
        assert_refused(wallet.credential(token), 401, "invalid_token")
        monkeypatch.undo()
        assert credential_works(wallet, token)


@pytest.mark.rule("C-29", "DP-21")
def test_a_bearer_token_ends_when_its_tenant_requires_dpop(own_server: RunningServer) -> None:
    lenient = document({"dpop": {"tokens": "optional"}})
    own_server.apply(lenient)
    with own_server.wallet() as wallet:
        token = wallet.exchange(wallet.code(dpop=False), dpop=False).json()["access_token"]
        own_server.apply(document())
        assert_refused(wallet.credential(token, scheme="Bearer", dpop=False), 401, "invalid_token")
        own_server.apply(lenient)
        assert wallet.credential(token, scheme="Bearer", dpop=False).status_code == 200


@pytest.mark.rule("C-29")
def test_a_deleted_person_or_tenant_takes_the_grant_along(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet, own_server.wallet(OTHER_SLUG) as neighbour:
        code, token, kept = wallet.code(), wallet.access_token(), neighbour.code()
        own_server.apply(document({"users": [user for user in PID["users"] if user["username"] == "max"]}))
        own_server.apply(document())
        # The same name again is another person.
        assert_oauth_refused(wallet.exchange(code), 400, "invalid_grant")
        assert not credential_works(wallet, token)
        code, token = wallet.code(), wallet.access_token()
        own_server.beside(lambda service: delete_tenant(service.platform, service.clock, "pid-provider"))
        assert wallet.exchange(code).status_code == 404
        proofs = {"jwt": [wallet.key_proof("x")]}
        assert wallet.credential(token, {"proofs": proofs}).status_code == 404
        assert_kept(neighbour, kept)
