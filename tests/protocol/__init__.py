"""Tests of the pure protocol rules."""
