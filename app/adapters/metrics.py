"""The metrics, by prometheus_client: every process counts in files of its own, and what is served is their sum.

The library is imported only where `metrics.port` is set. Labels are bounded: tenants that exist, path templates, error
codes that the code names, words of this file. Nothing that a client sent becomes a label.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.ports import Metrics, RequestRecord
from app.records import AuditEvent, SpentKind
from app.settings import Settings

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: a sound request takes a few milliseconds, and waits for a lock at most five seconds."""

_OTHER: Final = "other"
"""The endpoint of what reached no tenant's: health checks, style sheets, unknown paths and hosts."""


def open_metrics(settings: Settings) -> Metrics | None:
    """Return what counts in this process; None where the metrics are off."""
    if settings.metrics.port is None:
        return None
    prepare_directory(settings)
    return PrometheusMetrics()


def prepare_directory(settings: Settings) -> Path:
    """Make the directory of the counts and tell prometheus_client, which must not be imported before."""
    directory = settings.data_directory / "metrics"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    return directory


def forget_ended_processes(directory: Path) -> None:
    """Begin anew, unless another process still counts there: a sum that falls would look like a restart."""
    files = {file: int(file.stem.rpartition("_")[2]) for file in directory.glob("*_*.db")}
    if any(process != os.getpid() and _is_running(process) for process in files.values()):
        return
    for file in files:
        file.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    with suppress(ProcessLookupError):
        with suppress(PermissionError):  # somebody else's, but there
            os.kill(process, 0)
        return True
    return False


class PrometheusMetrics:
    """`Metrics` in files that all processes with one data directory share."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Histogram

        # In no registry: a collector over all processes' files is what reads them. All have labels: the first count
        # makes the process's files, so that one whose start fails, again and again, leaves none.
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"vestibule_{name}", text, labels, registry=None)

        self._requests = counter("requests", "Requests by outcome.", "tenant", "endpoint", "outcome")
        self._seconds = Histogram(
            "vestibule_request_seconds",
            "Time from a request's head to the end of its answer.",
            ["endpoint"],
            buckets=_BUCKETS,
            registry=None,
        )
        self._begun = counter("sessions_begun", "Sessions begun.", "dialect")
        self._ended = counter("sessions_ended", "Sessions ended by a request.", "dialect", "status")
        self._issued = counter("issued", "Authorization codes, access tokens and credentials issued.", "kind")
        self._replays = counter("replays_refused", "Values used a second time and refused.", "kind")
        self._runs = counter("job_runs", "Runs of jobs.", "job", "result")
        self._rows = counter("job_rows", "What jobs did, in what each counts.", "job")

    def request(self, record: RequestRecord, *, outcome: str, seconds: float) -> None:
        """Count one request."""
        endpoint = record.endpoint or _OTHER
        self._requests.labels(record.tenant or "", endpoint, outcome).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def event(self, event: AuditEvent) -> None:
        """Count an event that was committed."""
        dialect = event.detail.get("dialect")
        match event.kind:
            case "session_begun":
                self._begun.labels(dialect).inc()
            case "session_failed":
                self._ended.labels(dialect, "failed").inc()
            case "code_issued":
                # A session's one code is its end.
                self._ended.labels(dialect, "code_issued").inc()
                self._issued.labels("code").inc()
            case "code_redeemed":
                self._issued.labels("token").inc()
            case "code_reused":
                self._replays.labels("code").inc()
            case "credential_issued":
                self._issued.labels("credential").inc()

    def replay(self, kind: SpentKind) -> None:
        """Count a value that was used a second time."""
        self._replays.labels(kind).inc()

    def job(self, name: str, count: int | None) -> None:
        """Count a run of a job."""
        self._runs.labels(name, "failed" if count is None else "ok").inc()
        self._rows.labels(name).inc(count or 0)
