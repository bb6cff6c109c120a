"""A share of a core for each process, by the kernel's control groups: several small machines on one."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_PERIOD: Final = 100_000
"""Microseconds."""


@contextmanager
def limited(process_ids: Sequence[int], share: float) -> Iterator[None]:
    """Let each process have no more than this share of one core. Raises OSError where that is not allowed."""
    old = (_ROOT / "cpu" / "cpu.cfs_quota_us").exists()
    parent = _ROOT / "cpu" if old else _ROOT
    if not old:
        (parent / "cgroup.subtree_control").write_text("+cpu")
    groups = []
    try:
        for process_id in process_ids:
            group = parent / f"vestibule-{os.getpid()}-{process_id}"
            group.mkdir()
            groups.append(group)
            quota = int(_PERIOD * share)
            if old:
                (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (group / "cpu.max").write_text(f"{quota} {_PERIOD}")
            (group / "cgroup.procs").write_text(str(process_id))
        yield
    finally:
        for group in groups:
            for member in (group / "cgroup.procs").read_text().split():
                (parent / "cgroup.procs").write_text(member)
            group.rmdir()
