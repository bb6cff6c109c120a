"""One soak: a service in processes of its own, wallets in others, and what is to be said of it afterwards."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tests.soak.hostile import ATTACKS
from tests.soak.remains import problems_of_log, problems_of_rows
from tests.soak.walker import Task, Walked, share_progress, walk
from tests.soak.watch import Watch
from tests.support.campus import academy, pid_provider
from tests.support.fakes import RunningClock
from tests.support.measured import all_limits
from tests.support.server import RunningServer, free_port, serving_process, settings_for

LIMITS_TIMES: Final = 20
"""How much more than by default an address, a client and a tenant may send; a session no more than ever."""
DESCRIPTORS: Final = 12
"""More open at the end than before: connections come and go."""
_LOOK_EVERY: Final = 0.5
_TELL_EVERY: Final = 10.0
_TOLD_PROBLEMS: Final = 40


class Plan(Struct, frozen=True, kw_only=True):
    """What is done."""

    database: str
    seconds: float
    wallets: int
    hostile: float
    workers: int
    memory: float
    """MiB by which a process may grow in the last third."""


class Soaked(Struct, frozen=True, kw_only=True):
    """What was done, and everything that went wrong."""

    plan: Plan
    journeys: dict[str, int]
    good_requests: int
    hostile_requests: int
    attacks: dict[str, int]
    resident_mib: list[float]
    """Of all processes of the service: after each tenth of the time."""
    grown_mib: float
    """Of the process that grew most: median of the last third of the time above that of the second."""
    descriptors: list[int]
    problems: list[str]


def soak(plan: Plan, url: str, folder: Path) -> Soaked:
    """Serve on a migrated database, let wallets walk, and look at what is left."""
    port = free_port()
    limits = msgspec.structs.replace(all_limits(lambda default: default * LIMITS_TIMES), follow_ups_per_session=30)
    settings = msgspec.structs.replace(settings_for(url, folder, port=port), limits=limits)
    running = RunningServer(settings, RunningClock())
    running.apply(pid_provider())
    running.apply(academy())
    with serving_process(settings, port=port, workers=plan.workers) as (_, process_id):
        watch = Watch(process_id)
        walked = _walk_all(plan, running.issuer("academy"), watch)
    problems = [failure for each in walked for failure in each.failures]
    problems += missing(plan, walked)
    problems += watch.problems(memory=plan.memory, descriptors=DESCRIPTORS)
    secrets = {
        f"{name} ({number})": value for number, each in enumerate(walked) for name, value in each.secrets.items()
    }
    problems += problems_of_log(folder / f"serve-{port}.log", secrets)
    problems += problems_of_rows(running)
    resident, descriptors = watch.over_time()
    return Soaked(
        plan=plan,
        journeys=dict(sum((each.journeys for each in walked), Counter())),
        good_requests=sum(each.good for each in walked),
        hostile_requests=sum(each.hostile for each in walked),
        attacks=dict(sum((each.attacks for each in walked), Counter())),
        resident_mib=resident,
        grown_mib=max(grown for grown, _ in watch.grown().values()),
        descriptors=descriptors,
        problems=problems[:_TOLD_PROBLEMS],
    )


def missing(plan: Plan, walked: Sequence[Walked]) -> list[str]:
    """Say what was not done: a soak that shows nothing must not pass."""
    problems = [f"wallet {number} finished no journey" for number, each in enumerate(walked) if not each.journeys]
    made = {name for each in walked for name in each.attacks}
    problems += [f"never tried: {attack.name}" for attack in ATTACKS if attack.name not in made and plan.hostile]
    sent, hostile = sum(each.good + each.hostile for each in walked), sum(each.hostile for each in walked)
    if hostile < plan.hostile * sent * 0.95:
        problems.append(f"only {hostile} of {sent} requests were hostile")
    return problems


def _walk_all(plan: Plan, issuer: str, watch: Watch) -> list[Walked]:
    # Forked from a process that has imported everything, and which has no threads.
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.soak.walker"])
    progress = context.RawArray("l", 3 * plan.wallets)
    with ProcessPoolExecutor(plan.wallets, context, initializer=share_progress, initargs=(progress,)) as pool:
        until = time.time() + plan.seconds
        walking = [
            pool.submit(walk, Task(issuer, number, number * len(ATTACKS) // plan.wallets, until, plan.hostile))
            for number in range(plan.wallets)
        ]
        _watch_until_done(walking, watch, progress)
        return [each.result() for each in walking]


def _watch_until_done(walking: Sequence[Future[Walked]], watch: Watch, progress: Sequence[int]) -> None:
    began = told = time.monotonic()
    while wait(walking, timeout=_LOOK_EVERY).not_done:
        watch.look()
        now = time.monotonic()
        if now - told >= _TELL_EVERY:
            told = now
            journeys, good, hostile = (sum(progress[which::3]) for which in range(3))
            print(
                f"{now - began:5.0f} s: {journeys} journeys, {good + hostile} requests, {hostile} of them hostile;"
                f" {watch.resident:.0f} MiB, {watch.descriptors} descriptors",
                file=sys.stderr,
            )
