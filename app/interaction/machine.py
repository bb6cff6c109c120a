"""The session's law: every state, every event, every transition. Nothing else decides a session's `status`.

Pure. Steps are data (an index into the plan), not states, so a new step type adds no state. A missing entry is the
error. `app/interaction/README.md` shows this table as a diagram made from it.
"""

from enum import StrEnum
from typing import Final

from app.protocol.refusal import Refusal


class Status(StrEnum):
    """The persisted `status` of a session."""

    PENDING = "pending"
    PRESENTATION_RECEIVED = "presentation_received"
    WEB_AUTH_COMPLETED = "web_auth_completed"
    ALL_STEPS_COMPLETED = "all_steps_completed"
    CODE_ISSUED = "code_issued"
    EXPIRED = "expired"
    FAILED = "failed"


class Event(StrEnum):
    """What can happen to a session."""

    PRESENTATION_ARRIVED = "presentation arrived"
    WEB_STEPS_COMPLETED = "browser leg completed"
    STEP_ACCEPTED = "accepted, more steps"
    LAST_STEP_ACCEPTED = "accepted, last step"
    CODE_MINTED = "code minted"
    REFUSED = "refused"
    TIMED_OUT = "timed out"


TERMINAL: Final = frozenset({Status.CODE_ISSUED, Status.EXPIRED, Status.FAILED})

TRANSITIONS: Final[dict[tuple[Status, Event], Status]] = {
    (Status.PENDING, Event.PRESENTATION_ARRIVED): Status.PRESENTATION_RECEIVED,
    (Status.PENDING, Event.WEB_STEPS_COMPLETED): Status.WEB_AUTH_COMPLETED,
    (Status.PRESENTATION_RECEIVED, Event.STEP_ACCEPTED): Status.PENDING,
    (Status.PRESENTATION_RECEIVED, Event.LAST_STEP_ACCEPTED): Status.ALL_STEPS_COMPLETED,
    (Status.WEB_AUTH_COMPLETED, Event.STEP_ACCEPTED): Status.PENDING,
    (Status.WEB_AUTH_COMPLETED, Event.LAST_STEP_ACCEPTED): Status.ALL_STEPS_COMPLETED,
    (Status.ALL_STEPS_COMPLETED, Event.CODE_MINTED): Status.CODE_ISSUED,
    **{(status, Event.REFUSED): Status.FAILED for status in Status if status not in TERMINAL},
    **{(status, Event.TIMED_OUT): Status.EXPIRED for status in Status if status not in TERMINAL},
}


def move(status: Status, *events: Event) -> Status:
    """Return the status after `events`; raises `Refusal("invalid_session")` where the table has no entry for one."""
    for event in events:
        try:
            status = TRANSITIONS[status, event]
        except KeyError:
            raise Refusal("invalid_session", reason=f"{event.value!r} in status {status.value}") from None
    return status


def mermaid() -> str:
    """Return the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {Status.PENDING}"]
    lines += [f"    {before} --> {after} : {event.value}" for (before, event), after in TRANSITIONS.items()]
    lines += [f"    {status} --> [*]" for status in Status if status in TERMINAL]
    return "\n".join(lines) + "\n"
