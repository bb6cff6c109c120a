"""Work nobody waits for: plain async functions."""

from collections.abc import Callable

Tell = Callable[[int], None]
"""Gets how much each batch of a job was, in what the job counts."""
