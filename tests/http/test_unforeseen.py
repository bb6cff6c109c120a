"""What nobody foresaw is answered in the endpoint's own words, with a request id and no detail (O-13)."""

import pytest
from sqlalchemy.exc import OperationalError

from app.adapters.db.tenancies import SqlTenancies
from tests.support.raw_http import exchange, request
from tests.support.server import RunningServer

SECRET = "canary-in-an-exception"


@pytest.fixture
def broken(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> RunningServer:
    """A service whose database is gone."""

    async def fail(_: SqlTenancies, name: str) -> None:
        raise OperationalError(f"SELECT {SECRET}", {"name": name}, Exception(SECRET))

    monkeypatch.setattr(SqlTenancies, "by_slug", fail)
    monkeypatch.setattr(SqlTenancies, "by_origin", fail)
    return server


@pytest.mark.rule("O-13")
@pytest.mark.parametrize("host", [None, "tenant.example"], ids=["public URL", "own origin"])
@pytest.mark.parametrize("endpoint", ["/par", "/token", "/nonce", "/credential"])
def test_an_endpoint_without_its_database_says_server_error(
    broken: RunningServer, host: str | None, endpoint: str
) -> None:
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
