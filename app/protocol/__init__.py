"""The specifications' rules: pure functions over facts and `now`."""
