"""Codes and access tokens are judged by the tenant as it is now."""

from typing import Any

import pytest

from app.provisioning import delete_tenant
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
