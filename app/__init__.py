"""Vestibule: interactive issuance of digital credentials (OpenID4VCI)."""
