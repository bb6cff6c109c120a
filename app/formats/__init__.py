"""Credential formats: one file each."""
