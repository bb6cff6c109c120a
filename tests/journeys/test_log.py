"""What a running service logs: one record for each request, of its tenant only, whatever was sent."""

import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from app.adapters.logs import configure_logging
from app.settings import LogSettings
from tests.support.documents import OTHER_SLUG
from tests.support.server import RunningServer

FORGED = [
    'wallet\r\n{"event":"request","outcome":"ok","tenant":"forged"}',
    "wallet\x1b[2J\x1b[31mforged",
    'wallet","outcome":"ok","forged":"yes',
    "wallet\u2028forged\u202eforged",
    "wallet\x85forged\x0bforged",
]


def requests(log: io.StringIO) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in log.getvalue().split("\n") if line]
    return [record for record in records if record["event"] == "request"]


@pytest.mark.rule("O-07")
@pytest.mark.parametrize("forged", FORGED, ids=["line", "terminal", "json", "direction", "control"])
def test_a_request_makes_one_record_whatever_its_values_hold(
    either_server: RunningServer, log: io.StringIO, forged: str
) -> None:
    with either_server.wallet(client_id=forged) as wallet:
        headers = {"User-Agent": 'forged\t"event"'}
        assert wallet.push(headers=headers).status_code == 401
        assert wallet.http.get(f"{wallet.issuer}/authorize?{urlencode({'client_id': forged})}").status_code == 400
    assert log.getvalue().count("\n") == 2
    # JSON breaks no line but at a line feed; everything a terminal or a reader could take for more is escaped.
    assert all(character.isprintable() for character in log.getvalue().replace("\n", ""))
    first, second = requests(log)
    assert (first["tenant"], first["outcome"], first["status"]) == ("pid-provider", "invalid_client", 401)
    assert (second["tenant"], second["status"]) == ("pid-provider", 400)
    assert first["client"].startswith("wallet")


@pytest.mark.rule("O-07")
@pytest.mark.parametrize("forged", FORGED, ids=["line", "terminal", "json", "direction", "control"])
def test_the_same_holds_on_a_terminal(either_server: RunningServer, log: io.StringIO, forged: str) -> None:
    text = io.StringIO()
    configure_logging(LogSettings(format="text"), text)
    with either_server.wallet(client_id=forged) as wallet:
        assert wallet.push().status_code == 401
    [line] = text.getvalue().splitlines()
    assert line.isprintable()
    assert line.count(" outcome=") == 1


@pytest.mark.rule("M-20")
def test_a_record_is_of_the_requests_tenant_and_names_no_other(either_server: RunningServer, log: io.StringIO) -> None:
    with either_server.wallet() as one, either_server.wallet(OTHER_SLUG) as other, either_server.wallet("none") as none:
        for _ in range(2):
            assert one.credential(one.access_token()).status_code == 200
            assert other.credential(other.access_token()).status_code == 200
            # What is of one tenant, at the other.
            assert other.exchange(one.code()).status_code == 400
            assert none.push().status_code == 404

    recorded = requests(log)
    found = {record.get("tenant") for record in recorded}
    assert found == {"pid-provider", OTHER_SLUG, None}
    for record in recorded:
        if record.get("tenant") is None:
            assert record["status"] == 404
        others = {"pid-provider", OTHER_SLUG} - {record.get("tenant")}
        assert not [name for name in others if name in json.dumps({**record, "tenant": None})]

    assert sum(record.get("tenant") == OTHER_SLUG for record in recorded) > 10
