"""The tenant document: its structure, how it is read, and what makes it sound."""
