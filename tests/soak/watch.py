"""The service's processes, looked at from the operating system while they serve."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import psutil
from msgspec import Struct

from tests.support.measured import processes

MIB: Final = 2**20
ENOUGH: Final = 15
"""Samples from which growth can be told."""


class Sample(Struct, frozen=True):
    """What one process held at one moment."""

    resident: int
    """Octets."""
    descriptors: int


class Watch:
    """Looks at a service again and again."""

    def __init__(self, process_id: int) -> None:
        self._process = psutil.Process(process_id)
        self.samples: dict[int, list[Sample]] = defaultdict(list)
        """By process id."""

    def look(self) -> None:
        """Take a sample of each process."""
        for process in processes(self._process):
            self.samples[process.pid].append(Sample(process.memory_info().rss, process.num_fds()))

    @property
    def resident(self) -> float:
        """MiB of all processes, by the last samples."""
        return sum(samples[-1].resident for samples in self.samples.values()) / MIB

    @property
    def descriptors(self) -> int:
        """Open files and connections of all processes, by the last samples."""
        return sum(samples[-1].descriptors for samples in self.samples.values())

    def grown(self) -> dict[int, tuple[float, float]]:
        """Return for each process by how many MiB and descriptors it grew."""
        return {
            process: (
                growth([each.resident for each in samples]) / MIB,
                growth([each.descriptors for each in samples]),
            )
            for process, samples in self.samples.items()
        }

    def over_time(self) -> tuple[list[float], list[int]]:
        """Return the MiB and the descriptors of all processes after each tenth of the time."""
        longest = max(len(samples) for samples in self.samples.values())
        moments = [
            [samples[index] for samples in self.samples.values() if index < len(samples)]
            for index in (max(0, longest * tenth // 10 - 1) for tenth in range(1, 11))
        ]
        resident = [round(sum(each.resident for each in moment) / MIB, 1) for moment in moments]
        return resident, [sum(each.descriptors for each in moment) for moment in moments]

    def problems(self, *, memory: float, descriptors: float) -> Iterator[str]:
        """Say which process grew by more than so many MiB or descriptors, or was not there all the time."""
        longest = max(len(samples) for samples in self.samples.values())
        if longest < ENOUGH:
            yield f"looked only {longest} times: too few to say whether anything grows"
            return
        yield from (
            f"process {process} was not there all the time"
            for process, samples in self.samples.items()
            if len(samples) < longest
        )
        for process, (resident, opened) in self.grown().items():
            if resident > memory:
                yield f"process {process}: memory grew by {resident:.1f} MiB; {memory:g} are allowed"
            if opened > descriptors:
                yield f"process {process}: {opened:g} more descriptors are open; {descriptors:g} are allowed"


def growth(values: Sequence[float]) -> float:
    """Return by how much the median of the last third is above that of the second; the first is for warming up."""
    third = len(values) // 3
    if third == 0:
        return 0
    return statistics.median(values[-third:]) - statistics.median(values[third:-third])
