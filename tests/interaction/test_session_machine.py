"""The session machine against the real driver; and that it finds what is planted in it."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from app.interaction import answering, follow_up, next_step, plan, presenting
from app.interaction.machine import Status
from app.records import Session
from tests.interaction.session_machine import Sessions, World, world

HOUR = settings(
    max_examples=80,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
LOOK = settings(HOUR, max_examples=300, phases=[Phase.generate], database=None)


@pytest.fixture
def played() -> Iterator[type[Sessions]]:
    with world() as opened:

        class Played(Sessions):
            world: World = opened

        yield Played


@pytest.mark.rule("IA-52", "B-05", "B-08")
def test_sessions_keep_their_law_in_any_order_of_events(played: type[Sessions]) -> None:
    run_state_machine_as_test(played, settings=HOUR)


def _sender_is_anybody(*_: Any) -> None:
    """The check of client and key is left out."""


def _handle_stays(tenancy: Any, session: Session, **where: Any) -> Any:
    waiting, needed = _ENTER(tenancy, session, **where)
    return msgspec.structs.replace(waiting, auth_session_digest=session.auth_session_digest), needed


def _leg_never_ends(pinned: plan.Plan, index: int) -> int:
    return len(pinned.steps)


def _refusal_forgives(tenancy: Any, store: Any, session: Session, refusal: Any) -> Any:
    forgiven = msgspec.structs.replace(session, status=Status.PENDING)
    store.sessions.advance(session, forgiven, now=tenancy.clock.now(), otherwise=refusal)
    return refusal


_ENTER = next_step.enter


@pytest.mark.parametrize(
    ("place", "name", "planted"),
    [
        (follow_up, "_check_sender", _sender_is_anybody),
        (answering, "enter", _handle_stays),
        (plan.Plan, "web_leg_end", _leg_never_ends),
        (presenting, "_fail", _refusal_forgives),
    ],
)
def test_a_planted_fault_is_found(
    played: type[Sessions], monkeypatch: pytest.MonkeyPatch, place: Any, name: str, planted: Any
) -> None:
    monkeypatch.setattr(place, name, planted)
    with pytest.raises((AssertionError, BaseExceptionGroup)):
        run_state_machine_as_test(played, settings=LOOK)
