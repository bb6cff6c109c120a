"""A tenant's data key is rotated beside the running service: who is on the way, before and after, arrives."""

from contextlib import closing

from sqlalchemy import select

from app.adapters.db.tables import SEALED, tenants
from app.adapters.vault import key_number
from app.jobs.rotate import Rotation, rotate_data_key
from app.main import Service
from tests.support.raw_wallet import Browser, RawWallet, redirect_parameters
from tests.support.served import query
from tests.support.server import RunningServer


def key_numbers(server: RunningServer, slug: str) -> set[int]:
    """Return which data keys a tenant's values are under."""
    of_tenant = select(tenants.c.tenant_id).where(tenants.c.slug == slug).scalar_subquery()
    looks = [select(column).where(column.table.c.tenant_id == of_tenant, column.is_not(None)) for column in SEALED]
    return {key_number(bytes(row[0])) for look in looks for row in query(server, look)}


def test_journeys_begun_before_a_rotation_end_after_it(own_either_server: RunningServer) -> None:
    server = own_either_server
    meanwhile: list[RawWallet] = []

    def tell(_: int) -> None:
        """In the middle of it: somebody walks the whole way."""
        if len(meanwhile) < 3:
            meanwhile.append(server.wallet())
            with meanwhile[-1] as wallet:
                assert wallet.credential(wallet.access_token()).status_code == 200

    async def rotate(service: Service) -> Rotation:
        return await rotate_data_key(
            service.platform, service.database, service.clock, service.entropy, "pid-provider", tell=tell, batch=3
        )

    with server.wallet() as at_page, server.wallet() as with_code, server.wallet() as with_token:
        with closing(Browser()) as browser:
            second_page = browser.sign_in(browser.get(at_page.authorize_url(at_page.push())))
            pushed = with_code.push()
            code = with_code.code()
            token = with_token.access_token()
            c_nonce = with_token.c_nonce()
            assert key_numbers(server, "pid-provider") == {1}

            rotation = server.beside(rotate)
            assert rotation.added == 2
            assert rotation.broken == 0
            assert len(meanwhile) == 3
            assert key_numbers(server, "pid-provider") == {2}
            assert key_numbers(server, "other-tenant") == {1}

            late_code = redirect_parameters(browser.submit(second_page))["code"]
            assert browser.get(with_code.authorize_url(pushed)).status_code == 200
        late_token = at_page.exchange(late_code).json()["access_token"]
        assert at_page.credential(late_token).status_code == 200
        assert with_code.credential(with_code.exchange(code).json()["access_token"]).status_code == 200
        proofs = {"jwt": [with_token.key_proof(c_nonce)]}
        assert with_token.credential(token, {"proofs": proofs}).status_code == 200
    with server.wallet() as wallet:
        assert wallet.credential(wallet.access_token()).status_code == 200
    assert key_numbers(server, "pid-provider") == {2}
