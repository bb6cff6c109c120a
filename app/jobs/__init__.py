"""Work nobody waits for: plain async functions."""
