"""The log of services that run inside the tests' process."""

from collections.abc import Iterator

import pytest
import structlog


def plain_log() -> None:
    """Let the log go to the captured output, exceptions as plain text: the fancy kind takes seconds for each."""
    render = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, render])


@pytest.fixture(scope="session", autouse=True)
def _plain_log() -> Iterator[None]:
    plain_log()
    yield
    structlog.reset_defaults()
