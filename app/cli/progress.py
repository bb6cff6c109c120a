"""How far long work is, on standard error."""

from collections.abc import Callable
from typing import Final

import click

_EVERY: Final = 1000
"""After how many pieces of work something is said."""


def telling(words: str) -> Callable[[int], None]:
    """Return what is told how much each batch was, and says the sum in these words after every so many."""
    total = 0

    def tell(count: int) -> None:
        nonlocal total
        if (total + count) // _EVERY > total // _EVERY:
            click.echo(f"{words}: {total + count}", err=True)
        total += count

    return tell
