"""One process of the wallets' side: a good wallet walks, and beside it somebody attacks."""

import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator, MutableSequence
from contextlib import closing
from typing import Final

import httpx2
from msgspec import Struct, field

from tests.journeys.canaries import canary
from tests.soak.attacker import Attacker, NotYet, told
from tests.soak.hostile import ATTACKS, Attack
from tests.soak.journeys import GoodJourneyFailed, GoodWallet
from tests.support.fakes import RunningClock
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.presented import PID_ISSUER

DIPLOMA_EVERY: Final = 4
"""Journeys, of which one has a browser in it."""
FAILURES: Final = 20
"""That are told of one wallet; beyond, it gives up."""


class Task(Struct, frozen=True):
    """What one process does."""

    issuer: str
    number: int
    first_attack: int
    """Each begins elsewhere, so that all of them together are through with the table early."""
    until: float
    hostile: float
    """The share of requests that are hostile."""


class Walked(Struct):
    """What it did, and what went wrong."""

    journeys: Counter[str] = field(default_factory=Counter)
    good: int = 0
    hostile: int = 0
    attacks: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    """The person's claims, and what came up in the first journey and in the last."""


_progress: MutableSequence[int] = [0, 0, 0]


def share_progress(cells: MutableSequence[int]) -> None:
    """Count journeys, good and hostile requests in memory that the parent sees, three cells for each wallet."""
    global _progress
    _progress = cells


def walk(task: Task) -> Walked:
    """Walk until the time is over."""
    return Walker(task).walk()


class Walker:
    """A good wallet and an attacker at one tenant, each with an address of its own."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.walked = Walked()
        claims = {name: canary(name) for name in ("given_name", "family_name", "birthdate", "never_asked_for")}
        self.walked.secrets.update(claims)
        wallet = self._wallet(0)
        wallet.http.event_hooks = {"response": [self._see_good]}
        pid = PID_ISSUER.issue(claims, holder=wallet.holder.private).text
        self.good = GoodWallet(wallet, pid, claims["given_name"], self._see_good)
        self.attacker = Attacker(self._wallet(1), self.good.loot, claims, self._see)
        self.waiting = deque([*ATTACKS[task.first_attack :], *ATTACKS[: task.first_attack]])

    def _wallet(self, side: int) -> InteractiveWallet:
        address = f"127.{side + 1}.0.{self.task.number + 1}"
        return InteractiveWallet(self.task.issuer, RunningClock(), address=address)

    def _see(self, answer: httpx2.Response) -> None:
        if answer.status_code >= 500:
            self.walked.failures.append(f"{answer.request.method} {answer.request.url.path}: {answer.status_code}")

    def _see_good(self, answer: httpx2.Response) -> None:
        self.walked.good += 1
        self._see(answer)

    def walk(self) -> Walked:
        """Walk until the time is over, or until too much went wrong."""
        with self.good.wallet, self.attacker.wallet:
            for number in itertools.count():
                if time.time() > self.task.until or len(self.walked.failures) >= FAILURES:
                    break
                kind = "diploma" if number % DIPLOMA_EVERY == DIPLOMA_EVERY - 1 else "student-card"
                self._walk_once(kind)
                if number in (0, 1):
                    self._note_secrets("first")
            self._note_secrets("last")
        return self.walked

    def _walk_once(self, kind: str) -> None:
        steps = self.good.diploma() if kind == "diploma" else self.good.student_card()
        try:
            with closing(steps):
                for _ in steps:
                    self._attack()
                    self._tell()
        except (GoodJourneyFailed, httpx2.HTTPError, KeyError, ValueError, AssertionError) as problem:
            self.walked.failures.append(f"good {kind}: {type(problem).__name__}: {problem}")
        else:
            self.walked.journeys[kind] += 1

    def _attack(self) -> None:
        """Send what is due of the hostile share."""
        while self.attacker.sent < self.walked.good * self.task.hostile / (1 - self.task.hostile):
            attack = self._next()
            if attack is None:
                return
            self.walked.hostile = self.attacker.sent

    def _next(self) -> Attack | None:
        """Make the first attack for which there is what it takes."""
        for attack in list(self.waiting):
            try:
                answer = told(attack.send(self.attacker))
            except NotYet:
                continue
            except (httpx2.HTTPError, OSError, KeyError, ValueError) as problem:
                answer = f"{type(problem).__name__}: {problem}"
            self.waiting.remove(attack)
            self.waiting.append(attack)
            self.walked.attacks[attack.name] += 1
            if answer != attack.told:
                self.walked.failures.append(f"hostile {attack.name}: told {answer}, not {attack.told}")
            return attack
        return None

    def _note_secrets(self, when: str) -> None:
        for name, value in self._secrets():
            self.walked.secrets[f"{name} of the {when} journeys"] = value

    def _secrets(self) -> Iterator[tuple[str, str]]:
        yield from self.good.loot.secrets().items()
        yield from ((f"{family} nonce", nonce) for family, nonce in self.good.wallet.nonces.items())

    def _tell(self) -> None:
        first = self.task.number * 3
        done = self.walked.journeys.total(), self.walked.good, self.attacker.sent
        _progress[first : first + 3] = done
