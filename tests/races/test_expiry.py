"""Sessions that are finished while a job ends them: each gets its code or is expired, never both."""

from collections.abc import Callable, Iterator, Sequence

import httpx2
import pytest

from app.jobs.schedule import JOBS
from app.main import Service, open_service
from tests.races.at_once import MANY, together
from tests.races.conftest import STRICT, Origins
from tests.races.outcome import changing
from tests.races.pages import insert_pages
from tests.races.standing_by import standing_by
from tests.races.test_follow_ups import answering
from tests.support.fakes import FixedClock
from tests.support.interactive_wallet import interactive_wallet
from tests.support.presented import PID_ISSUER
from tests.support.raw_wallet import error_of, redirect_parameters

pytestmark = pytest.mark.race

AFTER = (0, 5, 10, 15, 20, 30)
"""The job begins after so many answers."""


@pytest.fixture
def end_sessions(origins: Origins) -> Iterator[Callable[[], None]]:
    """End every session, as a process would whose clock is an hour ahead."""
    server, _ = origins

    async def end(service: Service) -> None:
        await JOBS["end-sessions"].run(service.platform, service.clock, lambda _: None)

    clock = FixedClock(server.clock.now() + 3600)
    with standing_by(open_service(server.settings, clock=clock), end) as end_sessions:
        end_sessions()
        yield end_sessions


def split(answers: Sequence[httpx2.Response]) -> tuple[list[httpx2.Response], list[httpx2.Response]]:
    """Return what was accepted, and what was not."""
    accepted = [answer for answer in answers if answer.status_code in (200, 303)]
    return accepted, [answer for answer in answers if answer not in accepted]


def outcome(sessions: int, codes: int) -> dict[str, int]:
    """Return what changes where so many of the sessions got their code and the others expired."""
    expired = sessions - codes
    ended = {"session pending": -sessions, "session code_issued": codes, "session expired": expired}
    return ended | {"authorization_codes": codes, "told of code_issued": codes, "told of session_expired": expired}


@pytest.mark.rule("N-09", "C-05")
@pytest.mark.parametrize(("sessions", "browsers"), [(MANY, 1), (10, 5)])
def test_a_page_is_finished_or_too_late(
    origins: Origins, end_sessions: Callable[[], None], sessions: int, browsers: int
) -> None:
    server, addresses = origins
    finished = 0
    with server.wallet() as wallet:
        for after in AFTER:
            made = insert_pages(server, wallet, sessions, browsers=browsers)
            forms = [pages.form(browser) for pages in made for browser in range(browsers)]
            changes: dict[str, int] = {}
            with changing(server, changes):
                accepted, refused = split(together(addresses, forms, meanwhile=end_sessions, after=after))
                changes |= outcome(sessions, len(accepted)) | {"browser_flows": -len(accepted) * browsers}
            assert {answer.status_code for answer in refused} <= {400}
            for answer in accepted[-2:]:
                assert wallet.exchange(redirect_parameters(answer)["code"]).status_code == 200
            finished += len(accepted)
    assert 0 < finished < len(AFTER) * sessions


@pytest.mark.rule("N-09", "B-02")
@pytest.mark.parametrize(("sessions", "follow_ups"), [(MANY, 1), (10, 5)])
def test_a_presentation_is_in_time_or_too_late(
    origins: Origins, end_sessions: Callable[[], None], sessions: int, follow_ups: int
) -> None:
    """Also where the session ends while its presentation is judged."""
    server, addresses = origins
    finished = 0
    with interactive_wallet(server, STRICT) as wallet:
        pid = PID_ISSUER.issue(holder=wallet.holder.private).text
        for after in AFTER:
            shown = [(asked, wallet.present(asked, pid)) for asked in (wallet.begin() for _ in range(sessions))]
            requests = [answering(wallet, *each) for each in shown for _ in range(follow_ups)]
            changes: dict[str, int] = {}
            # Of those that came too late, some had been claimed.
            with changing(server, changes, free={"spent dpop_jti"}):
                accepted, refused = split(together(addresses, requests, meanwhile=end_sessions, after=after))
                changes |= outcome(sessions, len(accepted)) | {"told of presentation_accepted": len(accepted)}
            assert {error_of(answer) for answer in refused} <= {(400, "invalid_request")}
            for answer in accepted[-2:]:
                assert wallet.exchange(answer.json()["code"]).status_code == 200
            finished += len(accepted)
    assert 0 < finished < len(AFTER) * sessions
