"""What a journey costs the service; run by `scripts/bench`."""
