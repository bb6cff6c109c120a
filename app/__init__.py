"""Vestibule: interactive issuance of digital credentials (OpenID4VCI)."""

__version__ = "0.1.0"
