"""Dates as commands print them."""

from datetime import UTC, datetime


def day(seconds: int) -> str:
    """Return the day of a moment, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
