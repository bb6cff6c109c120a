"""What a service logs, for the tests of this folder."""

import io
import logging
from collections.abc import Iterator

import pytest

from app.adapters.logs import configure_logging
from app.settings import LogSettings
from tests.support.log import plain_log


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, by the most talkative setting."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(LogSettings(format="json", level="debug"), stream)
    yield stream
    plain_log()
    root.handlers[:] = handlers
    root.setLevel(level)
