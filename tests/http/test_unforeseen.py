"""What nobody foresaw, and a database that is away, are answered in the endpoint's own words and with no detail."""

import pytest
from sqlalchemy.exc import OperationalError

from app.adapters.db.tenancies import SqlTenancies
from app.ports import DatabaseUnavailable
from tests.support.raw_http import exchange, request
from tests.support.server import RunningServer

SECRET = "canary-in-an-exception"


@pytest.fixture
def broken(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> RunningServer:
    """A service in which something nobody foresaw goes wrong."""

    async def fail(_: SqlTenancies, name: str) -> None:
        raise OperationalError(f"SELECT {SECRET}", {"name": name}, Exception(SECRET))

    monkeypatch.setattr(SqlTenancies, "by_slug", fail)
    monkeypatch.setattr(SqlTenancies, "by_origin", fail)
    return server


@pytest.mark.rule("O-13")
@pytest.mark.parametrize("host", [None, "tenant.example"], ids=["public URL", "own origin"])
@pytest.mark.parametrize("endpoint", ["/par", "/interactive", "/token", "/nonce", "/credential"])
def test_an_endpoint_says_server_error(broken: RunningServer, host: str | None, endpoint: str) -> None:
    path = endpoint if host else f"/pid-provider{endpoint}"
    answer = exchange(broken.url, request("POST", path, host=host or broken.url.removeprefix("http://")))
    assert answer.status == 500
    assert answer.json()["error"] == "server_error"
    assert answer.content_type == "application/json"
    assert SECRET not in answer.body.decode()


@pytest.mark.rule("O-13")
@pytest.mark.parametrize("host", [None, "tenant.example"], ids=["public URL", "own origin"])
def test_a_browser_sees_a_page(broken: RunningServer, host: str | None) -> None:
    path = "/authorize" if host else "/pid-provider/authorize"
    answer = exchange(broken.url, request("GET", path, host=host or broken.url.removeprefix("http://")))
    assert answer.status == 500
    assert answer.content_type == "text/html"
    assert answer.headers["x-request-id"][0] in answer.body.decode()
    assert SECRET not in answer.body.decode()


@pytest.mark.rule("O-13")
@pytest.mark.parametrize("host", [None, "tenant.example"], ids=["public URL", "own origin"])
@pytest.mark.parametrize("endpoint", ["/par", "/interactive", "/token", "/nonce", "/credential", "/authorize/answer"])
def test_a_database_that_is_away_is_told_and_may_come_back(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, host: str | None, endpoint: str
) -> None:
    async def fail(_: SqlTenancies, name: str) -> None:
        raise DatabaseUnavailable(f"{SECRET} {name}")

    monkeypatch.setattr(SqlTenancies, "by_slug", fail)
    monkeypatch.setattr(SqlTenancies, "by_origin", fail)
    path = endpoint if host else f"/pid-provider{endpoint}"
    answer = exchange(server.url, request("POST", path, host=host or server.url.removeprefix("http://")))
    assert answer.status == 503
    assert answer.headers["retry-after"] == ["2"]
    assert SECRET not in answer.body.decode()
    if endpoint == "/authorize/answer":
        assert answer.content_type == "text/html"
    else:
        assert answer.json()["error"] == "temporarily_unavailable"
