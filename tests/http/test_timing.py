"""What takes longer tells as much as what says more: pairs of refusals that look alike take equally long (O-09)."""

import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import update

from app.adapters.db.tables import tenants
from app.provisioning import delete_tenant
from tests.http.told import told
from tests.support.campus import academy
from tests.support.documents import document, other_tenant
from tests.support.fakes import RunningClock
from tests.support.interactive_wallet import interactive_wallet
from tests.support.presented import PID_ISSUER
from tests.support.raw_wallet import Browser
from tests.support.served import change
from tests.support.server import RunningServer, free_port, fresh_server, serving_process

pytestmark = pytest.mark.slow

SAMPLES, WARM_UP = 400, 30
SEPARABLE = 0.2
"""How far from one half the chance may be that one of a pair takes longer.

The standard error is a tenth of it. Ten microseconds, which no network lets through, make 0.1 within one machine; one
more look into the database makes 0.35.
"""

Send = Callable[[], httpx2.Response]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Send, Send]]]:
    """Requests for what never was, each with one for what is there and not to be told of."""
    folder: Path = tmp_path_factory.mktemp("timing")
    documents = [document(), other_tenant(), academy(), document({"tenant": {"slug": "deleted-one"}})]
    with fresh_server(folder, documents, clock=RunningClock()) as server:
        change(server, update(tenants).where(tenants.c.slug == "other-tenant").values(status="suspended"))
        server.beside(lambda service: delete_tenant(service.platform, service.clock, "deleted-one"))
        ended, finished = ended_handle(server), finished_request_uri(server)
        port = free_port()
        with serving_process(server.settings, port=port) as (origin, _), httpx2.Client() as client:
            headers = {"Host": httpx2.URL(server.url).netloc.decode()}

            def get(path: str) -> Send:
                return lambda: client.get(origin + path, headers=headers)

            def post(path: str, **form: str) -> Send:
                return lambda: client.post(origin + path, data=form, headers=headers)

            authorize = "/pid-provider/authorize?client_id=demo-wallet&request_uri="
            push = {"response_type": "code"}
            yield {
                "a suspended tenant": (get("/never-tenant/jwks.json"), get("/other-tenant/jwks.json")),
                "a deleted tenant": (get("/never-one/jwks.json"), get("/deleted-one/jwks.json")),
                "a retired client": (
                    post("/pid-provider/par", client_id="unknown-wallet", **push),
                    post("/pid-provider/par", client_id="retired-wallet", **push),
                ),
                "an ended session": (
                    post("/academy/interactive", auth_session="A" * len(ended)),
                    post("/academy/interactive", auth_session=ended),
                ),
                "a finished request": (get(authorize + finished[:-8] + "AAAAAAAA"), get(authorize + finished)),
            }


def ended_handle(server: RunningServer) -> str:
    with interactive_wallet(server, "academy") as wallet:
        asked = wallet.begin()
        assert wallet.show(asked, PID_ISSUER.issue(holder=wallet.holder.private).text).status_code == 200
        handle: str = asked.json()["auth_session"]
        return handle


def finished_request_uri(server: RunningServer) -> str:
    with server.wallet() as wallet, closing(Browser()) as browser:
        pushed = wallet.push()
        assert browser.walk(wallet.authorize_url(pushed)).status_code == 303
        request_uri: str = pushed.json()["request_uri"]
        return request_uri


def chance_of_longer(these: Sequence[float], those: Sequence[float]) -> float:
    """Return the chance that one of `these` is longer than one of `those`."""
    ordered = sorted(those)
    below = sum(bisect_left(ordered, one) + bisect_right(ordered, one) for one in these)
    return below / (2 * len(these) * len(those))


@pytest.mark.rule("O-09", "M-22")
@pytest.mark.parametrize("name", ["a suspended tenant", "a deleted tenant"])
def test_a_tenant_that_is_gone_takes_as_long_as_one_that_never_was(
    pairs: dict[str, tuple[Send, Send]], name: str
) -> None:
    assert_not_separable(*pairs[name])


@pytest.mark.rule("O-09")
@pytest.mark.parametrize("name", ["a retired client", "an ended session", "a finished request"])
def test_what_is_no_more_takes_as_long_as_what_never_was(pairs: dict[str, tuple[Send, Send]], name: str) -> None:
    assert_not_separable(*pairs[name])


def assert_not_separable(never: Send, gone: Send) -> None:
    waited: dict[Send, list[float]] = {never: [], gone: []}
    assert told(never()) == told(gone())
    for round_ in range(WARM_UP + SAMPLES):
        for send in random.sample([never, gone], 2):
            began = time.perf_counter()
            send()
            if round_ >= WARM_UP:
                waited[send].append(time.perf_counter() - began)
    assert abs(chance_of_longer(waited[gone], waited[never]) - 0.5) < SEPARABLE
