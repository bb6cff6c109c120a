"""Fixtures and plugins of all tests."""

pytest_plugins = [
    "tests.support.rules",
    "tests.support.database",
    "tests.support.log",
    "tests.support.served",
    "tests.support.redis",
]
