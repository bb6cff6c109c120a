"""The session's law is closed, and its picture is the table's."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.interaction.machine import TERMINAL, TRANSITIONS, Event, Status, mermaid, move
from app.protocol.refusal import Refusal

README = Path(__file__).parents[2] / "app" / "interaction" / "README.md"

Table = Mapping[tuple[Status, Event], Status]


def reachable(table: Table, start: Status) -> set[Status]:
    """Return the states a session can get to from `start`, `start` included."""
    found = {start}
    while True:
        grown = found | {after for (before, _), after in table.items() if before in found}
        if grown == found:
            return found
        found = grown


def faults(table: Table) -> list[str]:
    """Return what is wrong with a transition table."""
    found = [f"{before} is left" for before, _ in table if before in TERMINAL]
    found += [f"{status} is never reached" for status in set(Status) - reachable(table, Status.PENDING)]
    found += [f"{status} cannot end" for status in Status if not reachable(table, status) & TERMINAL]
    for status in set(Status) - TERMINAL:
        found += [
            f"{status} cannot be {event}" for event in (Event.REFUSED, Event.TIMED_OUT) if (status, event) not in table
        ]
    for (before, event), after in table.items():
        if after is Status.CODE_ISSUED and (before, event) != (Status.ALL_STEPS_COMPLETED, Event.CODE_MINTED):
            found.append(f"a code from {before} by {event}")
    return found


def test_the_table_is_sound() -> None:
    assert faults(TRANSITIONS) == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ({(Status.PENDING, Event.CODE_MINTED): Status.CODE_ISSUED}, "a code from pending by code minted"),
        ({(Status.CODE_ISSUED, Event.STEP_ACCEPTED): Status.PENDING}, "code_issued is left"),
        ({(Status.FAILED, Event.PRESENTATION_ARRIVED): Status.PENDING}, "failed is left"),
    ],
)
def test_a_planted_transition_is_caught(planted: Table, fault: str) -> None:
    assert fault in faults({**TRANSITIONS, **planted})


@pytest.mark.parametrize(
    ("gone", "fault"),
    [
        ((Status.PENDING, Event.PRESENTATION_ARRIVED), "presentation_received is never reached"),
        ((Status.PENDING, Event.WEB_STEPS_COMPLETED), "web_auth_completed is never reached"),
        ((Status.ALL_STEPS_COMPLETED, Event.CODE_MINTED), "code_issued is never reached"),
        ((Status.PENDING, Event.TIMED_OUT), "pending cannot be timed out"),
        ((Status.WEB_AUTH_COMPLETED, Event.REFUSED), "web_auth_completed cannot be refused"),
    ],
)
def test_a_missing_transition_is_caught(gone: tuple[Status, Event], fault: str) -> None:
    assert fault in faults({key: after for key, after in TRANSITIONS.items() if key != gone})


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("event", list(Event))
def test_every_event_in_every_state_moves_or_is_refused(status: Status, event: Event) -> None:
    if (status, event) in TRANSITIONS:
        assert move(status, event) is TRANSITIONS[status, event]
        return
    with pytest.raises(Refusal) as refusal:
        move(status, event)
    assert refusal.value.code == "invalid_session"


def test_the_diagram_in_the_readme_is_the_table() -> None:
    assert f"```mermaid\n{mermaid()}```" in README.read_text(encoding="utf-8")
