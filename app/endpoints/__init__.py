"""Wallet-facing endpoints: one short file per section of the specifications."""
