"""Keys are rotated and retired beside the running service: nobody is refused for it who should not be."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from sqlalchemy import func, select

from app.adapters.db.tables import audit_events, data_keys, signing_keys, tenants
from app.jobs.rotate import Rotation, rewrap_data_keys, rotate_data_key
from app.main import Service
from app.protocol import base64url, jose
from app.protocol.refusal import Refusal
from app.provisioning import delete_tenant
from app.provisioning.keys import retire_key, rotate_access_token_key, rotate_development_credential_key
from app.records import SigningKey
from app.settings import Secret, SecretSettings, Settings
from tests.support.campus import campus, campus_university, person, pid_provider
from tests.support.database import KINDS
from tests.support.documents import document
from tests.support.interactive_wallet import interactive_wallet
from tests.support.raw_wallet import RawWallet, error_of
from tests.support.served import change, migrated_database, query
from tests.support.server import RunningServer, free_port, fresh_server, running_server, settings_for

SLUG = "pid-provider"


async def rotate_access_tokens(service: Service) -> SigningKey:
    return await rotate_access_token_key(service.platform, service.key_maker, service.clock, service.entropy, SLUG)


async def rotate_credentials(service: Service) -> SigningKey:
    return await rotate_development_credential_key(
        service.platform,
        service.key_maker,
        service.clock,
        service.entropy,
        SLUG,
        public_url=service.settings.public_url,
    )


async def rotate_data(service: Service) -> Rotation:
    return await rotate_data_key(
        service.platform, service.database, service.clock, service.entropy, SLUG, tell=lambda _: None, batch=5
    )


async def rewrap(service: Service) -> int:
    return await rewrap_data_keys(service.platform, lambda _: None)


def retire(server: RunningServer, key_id: str) -> SigningKey:
    return server.beside(lambda service: retire_key(service.platform, service.clock, service.entropy, SLUG, key_id))


def key_of(token: str) -> str:
    """Return the `kid` of an access token."""
    return str(jose.parse_jwt(token).header["kid"])


def published(wallet: RawWallet) -> list[str]:
    """Return the `kid`s of the tenant's JWK set."""
    return [key["kid"] for key in wallet.http.get(f"{wallet.issuer}/jwks.json").json()["keys"]]


def customer(server: RunningServer, rounds: int) -> list[tuple[str, int, str | None]]:
    """Walk the whole way several times; return every answer but the demand for a nonce, with its error."""
    answers: list[tuple[str, int, str | None]] = []

    def record(answer: httpx2.Response) -> None:
        answer.read()
        if "use_dpop_nonce" not in answer.text + answer.headers.get("WWW-Authenticate", ""):
            answers.append((answer.url.path, *error_of(answer)))

    for _ in range(rounds):
        with server.wallet() as wallet:
            wallet.http.event_hooks = {"response": [record]}
            token = wallet.access_token()
            for _ in range(3):
                published(wallet)
                wallet.credential(token)
    return answers


@pytest.mark.parametrize("rotate", [rotate_access_tokens, rotate_credentials, rotate_data])
def test_no_request_fails_while_keys_are_rotated(
    own_either_server: RunningServer, rotate: Callable[[Service], Awaitable[Any]]
) -> None:
    server = own_either_server
    with server.wallet() as early:
        token = early.access_token()
        with ThreadPoolExecutor(3) as threads:
            traffic = [threads.submit(customer, server, 8) for _ in range(3)]
            rotations = 0
            while wait(traffic, timeout=0).not_done:
                server.beside(rotate)
                rotations += 1
        answers = [answer for customer in traffic for answer in customer.result()]
        assert early.credential(token).status_code == 200
    assert {status for _, status, _ in answers} <= {200, 201}, answers
    assert len(answers) > 250
    assert rotations > 2


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_fails_while_the_master_key_is_changed(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    """The operator's way: put the new key in front, restart, `keys rewrap`, take the old one off, restart."""
    new = Secret(base64url.encode(b"the master key that comes second"))

    def keys(settings: Settings, *keys: Secret) -> Settings:
        return msgspec.structs.replace(settings, secrets=SecretSettings(master_keys=keys))

    with migrated_database(request, kind, tmp_path) as url:
        settings = settings_for(url, tmp_path, port=free_port())
        [old] = settings.secrets.master_keys
        with running_server(keys(settings, new, old), []) as server:
            # Provided before the new key came.
            RunningServer(keys(settings, old), server.clock).apply(document())
            with ThreadPoolExecutor(1) as thread:
                traffic = thread.submit(customer, server, 8)
                assert server.beside(rewrap) == 1
                assert server.beside(rotate_data).added == 2
                assert server.beside(rewrap) == 0
                assert {status for _, status, _ in traffic.result()} <= {200, 201}
        with running_server(keys(settings, new), []) as server, server.wallet() as wallet:
            assert wallet.credential(wallet.access_token()).status_code == 200
            with pytest.raises(Refusal, match="master_key"):
                RunningServer(keys(settings, old), server.clock).beside(rewrap)


class TestAccessTokens:
    def test_old_ones_are_good_to_their_end_unless_their_key_is_retired(self, own_either_server: RunningServer) -> None:
        server = own_either_server
        with server.wallet() as old, server.wallet() as new:
            first = old.access_token()
            [first_key] = published(old)
            assert key_of(first) == first_key
            second_key = server.beside(rotate_access_tokens).key_id
            second = new.access_token()
            assert (key_of(second), published(new)) == (second_key, [first_key, second_key])
            assert old.credential(first).status_code == 200
            server.clock.advance(299)
            assert old.credential(first).status_code == 200

            with pytest.raises(Refusal, match="key_in_use"):
                retire(server, second_key)
            retire(server, first_key)
            assert published(new) == [second_key]
            assert old.credential(first).status_code == 401
            assert new.credential(second).status_code == 200
            for again in (first_key, "unknown"):
                with pytest.raises(Refusal):
                    retire(server, again)
        noted = query(
            server, select(audit_events.c.kind, audit_events.c.subject).where(audit_events.c.kind.like("key%"))
        )
        assert {tuple(row) for row in noted} == {("key_rotated", second_key), ("key_retired", first_key)}

    def test_of_two_rotations_in_one_second_the_later_one_signs(self, own_either_server: RunningServer) -> None:
        for _ in range(4):
            made = own_either_server.beside(rotate_access_tokens)
            with own_either_server.wallet() as wallet:
                assert key_of(wallet.access_token()) == made.key_id


def test_a_credential_of_the_old_authority_is_taken_until_it_is_retired(tmp_path: Path) -> None:
    """The new one's are taken from the trusting tenant's next apply on, which is also what ends the old one's."""
    with fresh_server(tmp_path, campus()) as server:
        before = person(server, "erika")
        old = {key.purpose: key.key_id for key in server.store(lambda store: store.signing_keys.all())}
        server.beside(rotate_credentials)
        after = person(server, "erika")

        def shown(credential: Any) -> int:
            with interactive_wallet(server, holder=credential.holder) as wallet:
                return wallet.show(wallet.begin(), credential.pid).status_code

        assert (shown(before), shown(after)) == (200, 400)
        server.apply(campus_university())
        assert (shown(before), shown(after)) == (200, 200)
        retire(server, old["credential"])
        retire(server, old["development_ca"])
        server.apply(campus_university())
        assert (shown(before), shown(after)) == (400, 200)


def test_an_imported_key_is_not_followed_by_a_development_key(own_either_server: RunningServer) -> None:
    imported = signing_keys.update().where(signing_keys.c.purpose == "credential").values(origin="imported")
    change(own_either_server, imported)
    with pytest.raises(Refusal, match="imported_key"):
        own_either_server.beside(rotate_credentials)


def test_deleting_a_tenant_destroys_all_of_its_data_keys(own_either_server: RunningServer) -> None:
    server = own_either_server
    server.beside(rotate_data)
    tenant = select(tenants.c.tenant_id).where(tenants.c.slug == SLUG).scalar_subquery()
    count = select(func.count()).select_from(data_keys)
    assert query(server, count.where(data_keys.c.tenant_id == tenant))[0][0] == 2
    with server.wallet() as wallet, server.wallet("other-tenant") as other:
        token = wallet.access_token()
        server.beside(lambda service: delete_tenant(service.platform, service.clock, SLUG))
        assert query(server, count.where(data_keys.c.tenant_id == tenant))[0][0] == 0
        assert wallet.credential(token, {"proofs": {}}).status_code == 404
        with pytest.raises(Refusal, match="tenant_deleted"):
            server.apply(pid_provider())
        assert other.credential(other.access_token()).status_code == 200
