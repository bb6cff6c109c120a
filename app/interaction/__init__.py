"""The interactive authorization session: its law, what comes next, its wire dialects, its driver."""
