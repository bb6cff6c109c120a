"""Interaction step types: what a step shows, gathers and judges; one file each."""
