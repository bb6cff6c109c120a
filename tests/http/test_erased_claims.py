"""Claims that a job erased at their expiry: who comes with a clock that is behind is refused like anybody too late."""

from app.main import Service
from tests.http.refusals import assert_oauth_refused
from tests.support.raw_wallet import RawWallet
from tests.support.server import RunningServer


def erase_by_a_clock_ahead(server: RunningServer, seconds: int) -> None:
    """Erase as another process does, whose clock is ahead of the one that judges."""

    async def run(service: Service) -> int:
        now = service.clock.now() + seconds
        return await service.platform.transact(lambda store: store.erase_expired(now=now, limit=100))

    assert server.beside(run) == 1


def test_a_code_whose_claims_are_gone_is_refused_as_expired(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet:
        code = wallet.code()
        erase_by_a_clock_ahead(own_server, 60)
        refused = wallet.exchange(code)
        assert_oauth_refused(refused, 400, "invalid_grant")
        own_server.clock.advance(60)
        assert wallet.exchange(code).json() == refused.json()


def test_a_token_whose_grant_holds_no_claims_any_more_is_refused_as_expired(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet:
        token = wallet.access_token()
        erase_by_a_clock_ahead(own_server, 300)
        assert_expired(wallet, token)
        own_server.clock.advance(300)
        assert_expired(wallet, token)


def assert_expired(wallet: RawWallet, token: str) -> None:
    answer = wallet.credential(token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
