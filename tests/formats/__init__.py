"""Tests of the credential formats."""
