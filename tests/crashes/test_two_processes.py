"""Two processes on one PostgreSQL and one Redis serve one session between them, whoever of them dies meanwhile."""

import pytest

from tests.crashes.pair import Pair
from tests.crashes.stage import half_done
from tests.crashes.walks import GAPS, REQUESTS, Walk, answers, processes, walk, walk_all, walks
from tests.support.redis import flush, keys

pytestmark = [pytest.mark.crash, pytest.mark.postgres, pytest.mark.redis]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("urn", [False, True], ids=["bare", "urn"])
@pytest.mark.parametrize("scope", REQUESTS)
def test_each_request_goes_to_the_other_process(pair: Pair, scope: str, urn: bool, first: int) -> None:
    flush(pair.redis.url)
    route = walk(pair, Walk(scope, urn, first, gap=0), lambda: None)
    assert answers(route) == REQUESTS[scope]
    assert processes(route) == [(first + number) % 2 for number in range(len(route.sent))]
    # They did count together meanwhile.
    assert keys(pair.redis.url)
    assert half_done(pair.server) == []


@pytest.mark.parametrize("gap", GAPS)
def test_either_process_dies_between_two_requests(pair: Pair, gap: int) -> None:
    """The one that answered last, for half of the journeys; for the others the one that was to be asked next."""
    dying = gap % 2
    for one, route in walk_all(pair, walks([gap], firsts=lambda _: (0, 1)), lambda: pair.kill(dying)).items():
        assert answers(route) == REQUESTS[one.scope]
        assert set(processes(route)[:gap]) == ({0, 1} if gap > 1 else {one.first})
        assert set(processes(route)[gap:]) == {1 - dying}
    assert half_done(pair.server) == []
