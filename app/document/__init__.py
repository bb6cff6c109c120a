"""The tenant document: what it consists of, and how it is read and written."""
